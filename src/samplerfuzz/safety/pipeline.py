"""All validators, one after the other, into one report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from samplerfuzz.probe.census.registry import AnomalousTokens
from samplerfuzz.safety.observation import Observation, Validator
from samplerfuzz.safety.policy import CLOSED, Policy
from samplerfuzz.safety.profile import Profile
from samplerfuzz.safety.report import SafetyReport
from samplerfuzz.safety.results import HIGH, MEDIUM, Result
from samplerfuzz.safety.validators.distribution import DistributionMonitor
from samplerfuzz.safety.validators.parameters import SamplingParamsValidator
from samplerfuzz.safety.validators.repetition import RepetitionChecker
from samplerfuzz.safety.validators.temperature import TemperatureValidator
from samplerfuzz.safety.validators.third_party import third_party_validators
from samplerfuzz.safety.validators.tokens import TokenAnomalyDetector


class SamplingSafetyPipeline:
    """Runs every validator on a request and its answer.

    Example:
      >>> pipeline = SamplingSafetyPipeline([TemperatureValidator(), RepetitionChecker()])
      >>> pipeline.validate({"temperature": 0.7}, "A story.").verdict
      'pass'
      >>> pipeline.validate({"temperature": -5}, "A story.").verdict
      'fail'
    """

    def __init__(
        self,
        validators: Iterable[Validator] | None = None,
        *,
        policy: Policy | None = None,
        registry: AnomalousTokens | Path | str | None = None,
        profile: Profile | Path | None = None,
    ) -> None:
        """Make a pipeline.

        Args:
          validators: those to run; None: all of samplerfuzz, and those that installed packages bring.
          policy: whose bounds count, and what a validator that fails means; None: the shipped one.
          registry: anomalous tokens; None: the policy's.
          profile: baseline of the distribution; None: the policy's.

        Raises:
          UsageError: a registry, a profile or a package's validator that cannot be loaded.
        """
        self.policy = policy or Policy()
        self.validators: tuple[Validator, ...] = (
            tuple(validators)
            if validators is not None
            else (
                TemperatureValidator(policy=self.policy),
                SamplingParamsValidator(policy=self.policy),
                TokenAnomalyDetector(self.policy.registry if registry is None else registry),
                DistributionMonitor(self.policy.profile if profile is None else profile),
                RepetitionChecker(),
                *third_party_validators(),
            )
        )

    def validate(
        self,
        sampling_config: Mapping[str, Any],
        generated_text: str = "",
        tokens: Sequence[int] | None = None,
        statistics: Sequence[Mapping[str, Any]] | None = None,
    ) -> SafetyReport:
        """Return what the validators notice.

        Args:
          sampling_config: fields of the request.
          generated_text: the answer.
          tokens: its token ids, where they are known.
          statistics: of each step, where they are known: entropy, varentropy, and the others of `samplerfuzz.safety.profile.WATCHED`.
        """
        observation = Observation(config=sampling_config, text=generated_text, tokens=tokens, statistics=statistics)
        results: list[Result] = []
        for validator in self.validators:
            results += self._results(validator, observation)
        return SafetyReport(results=tuple(results), checked={validator.name: 1 for validator in self.validators})

    def _results(self, validator: Validator, observation: Observation) -> list[Result]:
        """Return what one validator notices; that it fails is a result too, "high" where the policy fails closed."""
        try:
            return list(validator.check(observation))
        except Exception as error:
            severity = HIGH if self.policy.on_error == CLOSED else MEDIUM
            message = f"the validator failed: {type(error).__name__}: {str(error)[:200]}"
            return [Result(validator=validator.name, severity=severity, message=message, evidence={"error": type(error).__name__})]
