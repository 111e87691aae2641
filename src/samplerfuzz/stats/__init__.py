"""Anytime-valid tests: evidence that may be looked at after every draw, and the budget of a whole run."""

from samplerfuzz.stats.budget import ALPHA, ErrorBudget
from samplerfuzz.stats.independence import log_e_independence
from samplerfuzz.stats.multinomial import log_e_value

__all__ = ["ALPHA", "ErrorBudget", "log_e_independence", "log_e_value"]
