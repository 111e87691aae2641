"""How many of the emitted tokens are anomalous: tokens that, by a census, the model cannot say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplerfuzz.core.errors import UsageError
from samplerfuzz.probe.census.registry import AnomalousTokens, load_registry
from samplerfuzz.safety.observation import Observation
from samplerfuzz.safety.results import HIGH, INFO, LOW, Result
from samplerfuzz.safety.shown import as_json

CONFIDENCE = 0.95
TOLERATED = 1e-3  # ordinary text holds none; a rare name may
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of tokens, with its exact interval (Clopper and Pearson 1934) at the level CONFIDENCE.

    Attributes:
      count: tokens that are counted, of `of` tokens.
      share: count / of, 0 where there are none.
      low, high: the interval; [0, 1] where there are none.
    """

    count: int
    of: int
    share: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Return the share as JSON data."""
        return {"count": self.count, "of": self.of, "share": self.share, "low": self.low, "high": self.high}


@dataclass(frozen=True, kw_only=True)
class Anomalies:
    """The anomalous tokens among some.

    Attributes:
      total: share of all of them together.
      each: id -> share, the most frequent first; those that occur.
      texts: id -> token, escaped.
    """

    total: Share
    each: Mapping[int, Share]
    texts: Mapping[int, str]


class TokenAnomalyDetector:
    """Counts the anomalous tokens of a model: "low" where one occurs, "high" where their share is surely more than is tolerated."""

    name = "anomalous tokens"

    def __init__(self, registry: AnomalousTokens | Path | str | None = None, *, tolerated: float = TOLERATED) -> None:
        """Detect the tokens of a registry.

        Args:
          registry: as a census found them, the file that it wrote, or the name of a model that was examined here; None: nothing is detected,
            and every check says so.
          tolerated: share of anomalous tokens, in [0, 1], above which the lower end of the interval is "high".

        Raises:
          UsageError: no such registry, or a share outside [0, 1].
        """
        if not 0 <= tolerated <= 1:
            raise UsageError(f"tolerated={tolerated}: expected a share in [0, 1]")
        self.registry = registry if registry is None or isinstance(registry, AnomalousTokens) else load_registry(_file_of(registry))
        self.tolerated = tolerated

    def detect(self, tokens: Sequence[int]) -> Anomalies:
        """Return the share of each anomalous token among the tokens, and of all of them together.

        Raises:
          UsageError: there is no registry.
        """
        if self.registry is None:
            raise UsageError("no registry of anomalous tokens; give one, as `samplerfuzz probe census MODEL` writes it")
        ids = [int(token) for token in tokens]
        counts = Counter(token for token in ids if token in self.registry.tokens)
        return Anomalies(
            total=share_of(sum(counts.values()), len(ids)),
            each={token: share_of(count, len(ids)) for token, count in counts.most_common()},
            texts={token: self.registry.texts[token] for token in counts},
        )

    def check(self, observation: Observation) -> Iterator[Result]:
        """Yield a result where an anomalous token occurs, or where nothing could be examined."""
        if self.registry is None or observation.tokens is None:
            missing = "no registry" if self.registry is None else "no token ids"
            yield Result(validator=self.name, severity=INFO, message=f"{missing} given: no token was examined")
            return
        found = self.detect(observation.tokens)
        if not found.each:
            return
        total = found.total
        some = ", ".join(f"{token} {as_json(found.texts[token])!r}" for token in list(found.each)[:_SHOWN])
        more = f" and {len(found.each) - _SHOWN} others" if len(found.each) > _SHOWN else ""
        yield Result(
            validator=self.name,
            severity=HIGH if total.low > self.tolerated else LOW,
            message=f"{total.count} of {total.of} tokens are anomalous ({total.share:.2%}, surely between {total.low:.2%} and "
            f"{total.high:.2%}; tolerated {self.tolerated:.2%}): {some}{more}",
            evidence={
                "model": self.registry.model,
                "total": total.to_json(),
                "each": {str(token): share.to_json() for token, share in list(found.each.items())[:_SHOWN]},
            },
        )


AnomalousTokenDetector = TokenAnomalyDetector


def share_of(count: int, of: int) -> Share:
    """Return a share with its exact interval.

    >>> share_of(0, 10).low, round(share_of(0, 10).high, 4)
    (0.0, 0.3085)
    """
    if of == 0:
        return Share(count=0, of=0, share=0.0, low=0.0, high=1.0)
    from scipy.special import betaincinv

    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(count, of - count + 1, tail)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, of - count, 1 - tail)) if count < of else 1.0
    return Share(count=count, of=of, share=count / of, low=low, high=high)


def _file_of(registry: Path | str) -> Path:
    """Return the file that a path or the name of a model stands for: the census writes to reports/census-NAME."""
    path = Path(registry)
    if isinstance(registry, Path) or path.is_file():
        return path
    folder = Path("reports") / f"census-{re.sub(r'[^A-Za-z0-9._-]+', '-', path.name)}"
    if not (folder / "registry.json").is_file():
        raise UsageError(f"no registry of the model {registry!r} in {folder}; `samplerfuzz probe census {registry}` writes one")
    return folder / "registry.json"
