"""What is tested: plain functions and the built-in samplers."""

from samplerfuzz.targets.target import Outcome, Target, TargetSpec

__all__ = ["Outcome", "Target", "TargetSpec"]
