"""What an answer tells of one position: the tokens listed with their log-probabilities, and which one was drawn.

Only tokens that are surely told when they are drawn belong to the set that a monitor looks at. Servers leave out the end of a text, half a character and what belongs to a
call of a tool; so what is no plain piece of text is never of the set, drawn or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_LISTED = 128
_LEAST = -50.0  # ln of a probability that is nothing
_SPECIAL = frozenset("<>[]{}|\ufffd")
_SINGLE = 1e-5  # what single precision leaves open of a log-probability
_ROUNDED = 1e-2  # a log-probability that is off by more is not used
_ALIKE = 1e-3
_DIGITS = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One position.

    Attributes:
      names: of the listed tokens, by what tells them apart, the most probable first.
      logprobs: of them; NaN: what was told is no log-probability.
      slack: by how many nats each may be off.
      plain: whether each is a piece of text that is told whenever it is drawn.
      drawn: name of the token drawn, and `own`: its log-probability as told beside the list.
      after_chain: whether they are probabilities after llama.cpp's chain, which no other field tells.
      collapses: whether two tokens of one text are told as one.
    """

    names: tuple[Any, ...]
    logprobs: tuple[float, ...]
    slack: tuple[float, ...]
    plain: tuple[bool, ...]
    drawn: Any
    own: float
    after_chain: bool = False
    collapses: bool = False

    def members(self, most: int) -> list[int]:
        """Return the places of the set that is looked at: of the list's tokens those that are plain text and told once.

        A server may add the drawn token to the `most` most probable, or put it in the last one's place. So the last one is left out with all
        that are as probable: whichever of the others is drawn, they are the same. llama.cpp adds nothing to what its chain leaves.
        """
        names, logprobs = self.names[:most], self.logprobs[:most]
        least = _LEAST if self.after_chain else max(_LEAST, logprobs[-1])
        return [
            place
            for place, logprob in enumerate(logprobs)
            if logprob > least and self.plain[place] and self.slack[place] <= _ROUNDED and self.names.count(names[place]) == 1
        ]

    def place(self, members: Sequence[int]) -> int | None:
        """Return which of the members was drawn; −1: none of them; None: one that is called like a member and is not as probable."""
        for column, place in enumerate(members):
            if self.names[place] == self.drawn:
                return column if abs(self.own - self.logprobs[place]) <= _ALIKE else None
        return -1


def told(item: Any) -> Told | None:
    """Return what an entry of `content` or `completion_probabilities` says; None where it is none.

    >>> told({"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -2}, {"token": "a", "logprob": -0.5}]}).names
    (('a', None), ('b', None))
    """
    if not isinstance(item, dict):
        return None
    after_chain = isinstance(item.get("top_probs"), list)
    rows = item.get("top_probs") if after_chain else item.get("top_logprobs")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows[: MOST_LISTED + 1]):
        return None
    key = "prob" if after_chain else "logprob"
    listed = [(_name(row), row.get(key), _is_plain(row)) for row in rows]
    return _told(listed, _name(item), item.get(key), after_chain=after_chain, collapses=False)


def told_older(drawn: Any, own: Any, row: Any) -> Told | None:
    """Return what a position of the older shape says, `top_logprobs` being an object by text; None where it says nothing.

    >>> told_older("a", -0.5, {"a": -0.5, "b": -2.0}).names
    ('a', 'b')
    """
    if not isinstance(row, dict) or not isinstance(drawn, str):
        return None
    return _told([(text, value, _is_text(text)) for text, value in row.items()], drawn, own, after_chain=False, collapses=True)


def _told(listed: list[tuple[Any, Any, bool]], drawn: Any, own: Any, *, after_chain: bool, collapses: bool) -> Told | None:
    if not 0 < len(listed) <= MOST_LISTED:
        return None
    values = [_number(value) for _, value, _ in listed]
    off = 0.5 * 10.0 ** -min(_DIGITS, max(_digits(value) for value in values))
    logs = [_log(value) if after_chain else value for value in values]
    order = sorted(range(len(listed)), key=lambda place: -logs[place] if logs[place] == logs[place] else math.inf)
    slack = [max(_SINGLE, off / values[place] if after_chain and values[place] > 0 else off) for place in order]
    own = _log(_number(own)) if after_chain else _number(own)
    return Told(
        names=tuple(listed[place][0] for place in order),
        logprobs=tuple(logs[place] for place in order),
        slack=tuple(slack),
        plain=tuple(listed[place][2] for place in order),
        drawn=drawn,
        own=own,
        after_chain=after_chain,
        collapses=collapses,
    )


def _name(row: dict[str, Any]) -> Any:
    if type(row.get("id")) is int:
        return row["id"]
    spelt = row.get("bytes")
    text = row.get("token")
    return (text if isinstance(text, str) else None, tuple(map(str, spelt)) if isinstance(spelt, list) else None)


def _is_plain(row: dict[str, Any]) -> bool:
    text, spelt = row.get("token"), row.get("bytes")
    if not isinstance(text, str):
        return False
    if not isinstance(spelt, list):
        return _is_text(text)
    try:
        return bool(spelt) and bytes(spelt).decode("utf-8") == text and not _is_special(text)
    except (ValueError, TypeError):
        return False


def _is_text(text: str) -> bool:
    """Whether a token is plain text where only its text is told: beyond ASCII it may stand for half a character."""
    return text.isascii() and not _is_special(text) and not text.startswith("token_id:")


def _is_special(text: str) -> bool:
    return not text.strip() or not _SPECIAL.isdisjoint(text)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 else math.nan


def _log(p: float) -> float:
    return math.log(p) if p > 0 else -math.inf if p == 0 else math.nan


def _digits(value: float) -> int:
    """Return how many digits a number has behind the point."""
    if not math.isfinite(value):
        return 0
    figures, _, power = repr(value).partition("e")
    return max(0, len(figures.partition(".")[2].rstrip("0")) - int(power or 0))
