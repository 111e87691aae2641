"""Defective samplers: each re-creates one documented historical bug (SF-…: one of our own) on top of a correct chain.

They prove the engine: every one must be found from the plain function alone. Each validates its input like a careful
library, so that nothing but its one bug can be found. NumPy only.

>>> DEFECTS["LC-01"].target
'samplerfuzz.zoo.nucleus:top_p_stops_before_the_crossing_token'
"""

from samplerfuzz.zoo import (
    batches,
    chains,
    crashes,
    draws,
    filters,
    layouts,
    masks,
    noise,
    nucleus,
    penalties,
    rejection,
    repetitions,
    scans,
    states,
    streams,
    temperatures,
    thresholds,
)
from samplerfuzz.zoo.catalog import Defect, registered
from samplerfuzz.zoo.unexpressed import UNEXPRESSED

DEFECTS: dict[str, Defect] = registered()

__all__ = [
    "DEFECTS",
    "UNEXPRESSED",
    "Defect",
    "batches",
    "chains",
    "crashes",
    "draws",
    "filters",
    "layouts",
    "masks",
    "noise",
    "nucleus",
    "penalties",
    "rejection",
    "repetitions",
    "scans",
    "states",
    "streams",
    "temperatures",
    "thresholds",
]
