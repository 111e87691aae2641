"""Guarding a deployment: validators and their pipeline, the policy they follow, and the report they make.

Everything is loaded on first use: importing this loads neither JAX nor SciPy, so that a proxy can.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_LAZY = {
    "AnomalousTokenDetector": "samplerfuzz.safety.validators.tokens",
    "Bound": "samplerfuzz.safety.bounds",
    "Decision": "samplerfuzz.safety.policy",
    "DistributionMonitor": "samplerfuzz.safety.validators.distribution",
    "Observation": "samplerfuzz.safety.observation",
    "Policy": "samplerfuzz.safety.policy",
    "Profile": "samplerfuzz.safety.profile",
    "RepetitionChecker": "samplerfuzz.safety.validators.repetition",
    "Result": "samplerfuzz.safety.results",
    "SafetyReport": "samplerfuzz.safety.report",
    "SamplingParamsValidator": "samplerfuzz.safety.validators.parameters",
    "SamplingSafetyPipeline": "samplerfuzz.safety.pipeline",
    "TemperatureValidator": "samplerfuzz.safety.validators.temperature",
    "TokenAnomalyDetector": "samplerfuzz.safety.validators.tokens",
    "load_policy": "samplerfuzz.safety.policy_file",
    "load_profile": "samplerfuzz.safety.profile",
}

if TYPE_CHECKING:
    from samplerfuzz.safety.bounds import Bound
    from samplerfuzz.safety.observation import Observation
    from samplerfuzz.safety.pipeline import SamplingSafetyPipeline
    from samplerfuzz.safety.policy import Decision, Policy
    from samplerfuzz.safety.policy_file import load_policy
    from samplerfuzz.safety.profile import Profile, load_profile
    from samplerfuzz.safety.report import SafetyReport
    from samplerfuzz.safety.results import Result
    from samplerfuzz.safety.validators.distribution import DistributionMonitor
    from samplerfuzz.safety.validators.parameters import SamplingParamsValidator
    from samplerfuzz.safety.validators.repetition import RepetitionChecker
    from samplerfuzz.safety.validators.temperature import TemperatureValidator
    from samplerfuzz.safety.validators.tokens import AnomalousTokenDetector, TokenAnomalyDetector

__all__ = [
    "AnomalousTokenDetector",
    "Bound",
    "Decision",
    "DistributionMonitor",
    "Observation",
    "Policy",
    "Profile",
    "RepetitionChecker",
    "Result",
    "SafetyReport",
    "SamplingParamsValidator",
    "SamplingSafetyPipeline",
    "TemperatureValidator",
    "TokenAnomalyDetector",
    "load_policy",
    "load_profile",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'samplerfuzz.safety' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
