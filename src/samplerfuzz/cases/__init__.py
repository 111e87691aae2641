"""What is thrown at a target: rows of logits, parameters, histories, seeds, uniforms."""

from samplerfuzz.cases.case import Case
from samplerfuzz.cases.generator import Generator

__all__ = ["Case", "Generator"]
