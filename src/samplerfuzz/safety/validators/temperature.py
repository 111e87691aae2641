"""Whether the temperature is one that a deployment should see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from samplerfuzz.safety.bounds import Bound
from samplerfuzz.safety.names import canonical
from samplerfuzz.safety.observation import Observation
from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.results import HIGH, Result
from samplerfuzz.safety.shown import as_json, shown
from samplerfuzz.safety.values import as_number

# outside of it, text is noise or anti-greedy, whatever the model
ANOMALOUS = Bound(minimum=-1.0, maximum=3.0)


@dataclass(frozen=True, kw_only=True)
class TemperatureValidator:
    """Holds the temperature against the policy, "medium" where it is outside, and against [−1, 3], "high" where it is outside of that.

    Attributes:
      policy: whose bound of the temperature is the safe range; shipped: [0, 2].
      name: that results carry.
    """

    policy: Policy = field(default_factory=Policy)
    name: str = "temperature"

    def check(self, observation: Observation) -> Iterator[Result]:
        """Yield a result where a temperature is no number, negative without leave, or outside a range.

        >>> [(r.severity, r.message) for r in TemperatureValidator().check(Observation(config={"temperature": 9.0}))]
        [('high', 'temperature=9.0 is anomalous: it is outside [-1, 3]')]
        """
        for called, value in observation.config.items():
            if canonical(called) != "temperature":
                continue
            fault = self.policy.fault(called, "temperature", value)
            if fault is None:
                continue
            number, severity, message = as_number(value), fault.severity, fault.message
            if number is not None and number == number and not ANOMALOUS.holds(number):
                severity, message = HIGH, f"{called}={shown(value)} is anomalous: it is outside {ANOMALOUS.text()}"
            evidence = {"value": as_json(value), "kind": fault.kind}
            yield Result(validator=self.name, severity=severity, message=message, evidence=evidence, parameter=called)
