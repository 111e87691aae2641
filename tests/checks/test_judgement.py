"""Which rows have a definite answer."""

import numpy as np
import pytest

from samplerfuzz.cases import Case
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.targets.builtin import builtin_target
from samplerfuzz.targets.target import Outcome


@pytest.mark.parametrize(
    ("stage", "name", "value", "is_clean"),
    [
        ("smoothing", "smoothing_factor", 6e-74, False),
        ("smoothing", "smoothing_factor", 1e-3, True),
        ("smoothing", "smoothing_factor", 0.0, True),
        ("temperature", "temperature", 1e-40, True),
    ],
)
def test_a_number_that_single_precision_takes_for_off_is_not_judged(stage, name, value, is_clean):
    spec = builtin_target(stage).spec
    given = {p: np.array([value if p == name else 1.0]) for p in spec.parameters}
    judgement = Judgement(spec, Case(logits=np.array([[0.0, 1.0]], np.float32), parameters=given), Outcome(kind="raised"))
    assert bool(judgement.clean[0]) is is_clean
