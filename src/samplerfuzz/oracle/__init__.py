"""The reference: what every correct sampler keeps, what none may emit, and the exact distribution. NumPy float64, no JAX."""

from samplerfuzz.oracle.belief import Belief, Precision, precision
from samplerfuzz.oracle.chain import Memories, believe, remember
from samplerfuzz.oracle.conventions import Reading, readings
from samplerfuzz.oracle.history import History
from samplerfuzz.oracle.verdicts import Verdicts, judge_distributions, judge_tokens

__all__ = [
    "Belief",
    "History",
    "Memories",
    "Precision",
    "Reading",
    "Verdicts",
    "believe",
    "judge_distributions",
    "judge_tokens",
    "precision",
    "readings",
    "remember",
]
