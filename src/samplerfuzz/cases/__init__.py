"""What is thrown at a target: rows of logits, parameters, histories, seeds, uniforms."""

from samplerfuzz.cases.case import Case

__all__ = ["Case"]
