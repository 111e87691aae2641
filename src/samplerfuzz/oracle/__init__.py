"""The reference: what every correct sampler keeps, what none may emit, and the exact distribution. NumPy float64, no JAX."""

from samplerfuzz.oracle.belief import Belief, Precision, precision
from samplerfuzz.oracle.chain import Reading, Verdicts, believe, judge_distributions, judge_tokens, readings

__all__ = ["Belief", "Precision", "Reading", "Verdicts", "believe", "judge_distributions", "judge_tokens", "precision", "readings"]
