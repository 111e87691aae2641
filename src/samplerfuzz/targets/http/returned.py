"""What an answer says of its first token, in whichever of the common shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The first token and the most probable ones there.

    Attributes:
      chosen: name of the token that was taken: its id where ids are told, or its text.
      names: of the listed tokens.
      logprobs: theirs.
    """

    chosen: int | str
    names: tuple[int | str, ...]
    logprobs: tuple[float, ...]

    @property
    def best(self) -> frozenset[int | str]:
        """The names of the most probable tokens: those that tie with the first."""
        top = max(self.logprobs)
        return frozenset(name for name, p in zip(self.names, self.logprobs) if p >= top - 1e-4)


def listed(data: Any) -> Listed | None:
    """Return what an answer lists for its first token, None where it lists nothing."""
    try:
        return _listed(data)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def text_of(data: Any) -> str | None:
    """Return the text of an answer, None where there is none."""
    try:
        if "content" in data:
            text = data["content"]
        else:
            choice = data["choices"][0]
            text = choice["text"] if "text" in choice else choice["message"]["content"]
    except (IndexError, KeyError, TypeError):
        return None
    return text if isinstance(text, str) else None


def _listed(data: Any) -> Listed | None:
    if "completion_probabilities" in data:
        return _of(data["completion_probabilities"][0])
    logprobs = data["choices"][0]["logprobs"]
    if "content" in logprobs:
        return _of(logprobs["content"][0])
    # OpenAI's older form: a mapping from text to log-probability at each position
    top = logprobs["top_logprobs"][0]
    return None if not top else Listed(chosen=logprobs["tokens"][0], names=tuple(top), logprobs=tuple(map(float, top.values())))


def _of(position: dict[str, Any]) -> Listed | None:
    tokens = position.get("top_logprobs") or position.get("top_probs") or ()
    if not tokens:
        return None
    return Listed(
        chosen=_name(position),
        names=tuple(_name(token) for token in tokens),
        logprobs=tuple(float(t["logprob"]) if "logprob" in t else _log(float(t["prob"])) for t in tokens),
    )


def _log(p: float) -> float:
    return math.log(p) if p > 0 else -math.inf


def _name(token: dict[str, Any]) -> int | str:
    return int(token["id"]) if "id" in token else str(token["token"])
