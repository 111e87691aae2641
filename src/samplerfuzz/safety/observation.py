"""What a validator looks at, and what a validator is. A third party's needs nothing from here but the shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from samplerfuzz.safety.results import Result


@dataclass(frozen=True, kw_only=True)
class Observation:
    """A request and what came of it.

    Attributes:
      config: fields of the request, as they were asked for.
      text: that was generated.
      tokens: its token ids; None where they are not known.
      statistics: a mapping a step with the statistics of its distribution; None where they are not known.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    tokens: Sequence[int] | None = None
    statistics: Sequence[Mapping[str, Any]] | None = None


class Validator(Protocol):
    """Notices things.

    Attributes:
      name: that its results carry.
    """

    @property
    def name(self) -> str:
        """Return the name that its results carry."""
        ...

    def check(self, observation: Observation) -> Iterable[Result]:
        """Return a result a thing noticed; none where all is well."""
        ...
