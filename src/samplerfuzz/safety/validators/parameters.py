"""Whether every sampling parameter is one, has a value that it may have, and does something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from samplerfuzz.safety.observation import Observation
from samplerfuzz.safety.policy import Policy
from samplerfuzz.safety.results import Result


@dataclass(frozen=True, kw_only=True)
class SamplingParamsValidator:
    """Says what the policy says of a request, parameter by parameter: types, NaN, infinities, ranges, unknown names, what has no effect, and
    what the engine behind ignores.

    Attributes:
      policy: whose bounds and engine count.
      name: that results carry.
    """

    policy: Policy = field(default_factory=Policy)
    name: str = "sampling parameters"

    def check(self, observation: Observation) -> Iterator[Result]:
        """Yield a result a thing that is wrong, without effect or ignored.

        >>> [(r.severity, r.message) for r in SamplingParamsValidator().check(Observation(config={"top_k": "50"}))]
        [('high', "top_k='50' is no number; expected a whole number in [0, 100]; leave out the quotes")]
        """
        for result in self.policy.decide(observation.config).results:
            yield replace(result, validator=self.name)
