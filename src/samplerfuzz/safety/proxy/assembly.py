"""Putting a guard together: the policy's files are read here, before a socket is opened."""

from __future__ import annotations

from pathlib import Path

from samplerfuzz.probe.census.registry import load_registry
from samplerfuzz.safety.pipeline import SamplingSafetyPipeline
from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.proxy.parts import Parts
from samplerfuzz.safety.proxy.settings import Settings
from samplerfuzz.safety.validators.parameters import SamplingParamsValidator
from samplerfuzz.safety.validators.temperature import TemperatureValidator


def assembled(settings: Settings, policy: Policy, *, registry: Path | None = None) -> Parts:
    """Return the parts of a guard.

    Args:
      settings: of the guard.
      policy: that requests are held to, with the files that answers are compared with.
      registry: anomalous tokens, in place of the policy's.

    Raises:
      UsageError: a file that cannot be read, or an audit log that cannot be written.
    """
    file = registry or policy.registry
    tokens = None if file is None else load_registry(file)
    all_of_them = SamplingSafetyPipeline(policy=policy, registry=tokens).validators
    # settings are judged before a request is sent on; of an answer there is no need to say it again
    of_answers = [item for item in all_of_them if not isinstance(item, TemperatureValidator | SamplingParamsValidator)]
    pipeline = SamplingSafetyPipeline(of_answers, policy=policy)
    if tokens is None:
        return Parts(settings, policy, pipeline)
    from samplerfuzz.safety.monitors.anomalous import AnomalousTokenMonitor  # SciPy, for whoever has a registry

    rate = AnomalousTokenMonitor(tokens.tokens, baseline=settings.usual_rate, alpha=settings.alpha)
    return Parts(settings, policy, pipeline, anomalous=frozenset(tokens.tokens), rate=rate)
