"""Dialects: what each engine settles where released engines differ, as data. One file an engine."""

from samplerfuzz.core.dialects.catalog import DIALECTS, ENGINES, find_dialect
from samplerfuzz.core.dialects.dialect import Dialect, Rule

__all__ = ["DIALECTS", "ENGINES", "Dialect", "Rule", "find_dialect"]
