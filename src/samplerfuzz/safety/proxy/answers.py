"""What an answer says, in whichever shape: its texts, its token ids, and the log-probabilities at each position.

Whatever comes is only read here. A part in no known shape says nothing, and is no error: the bytes went to the client long before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from samplerfuzz.safety.proxy.events import EventReader
from samplerfuzz.safety.proxy.told import Told, told, told_older

_MOST_CHOICES = 128


@dataclass(kw_only=True)
class Choice:
    """One text of an answer, as far as it came.

    Attributes:
      text: pieces of it.
      tokens: ids, where the server tells them.
      positions: log-probabilities listed at each position, the most probable first; NaN for one that is no number.
      told: what each position tells of the drawn token and the listed ones; None where that cannot be read.
    """

    text: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    positions: list[tuple[float, ...]] = field(default_factory=list)
    told: list[Told | None] = field(default_factory=list)


@dataclass(kw_only=True)
class Answer:
    """All texts of an answer, by their index, the tokens that the server counted, and the seed that it says it drew with."""

    choices: dict[int, Choice] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    seed: Any = None
    unreadable: int = 0

    def take(self, data: Any) -> None:
        """Add what one answer, or one event of it, says."""
        if not isinstance(data, dict):
            self.unreadable += 1
            return
        usage = data.get("usage")
        if isinstance(usage, dict):
            for name, keys in _USAGE.items():
                count = next((usage[key] for key in keys if type(usage.get(key)) is int), None)
                if count is not None and count >= 0:
                    self.usage[name] = count
        for item in _dicts(data.get("choices")):
            index = item.get("index", 0)
            if type(index) is int and 0 <= index < _MOST_CHOICES:
                _choice(self.choices.setdefault(index, Choice()), item)
        if isinstance(data.get("content"), str) and "choices" not in data:
            _llama_cpp(self.choices.setdefault(0, Choice()), data)
            settings = data.get("generation_settings")
            self.seed = settings.get("seed") if isinstance(settings, dict) else self.seed
        if data.get("type") == "response.output_text.delta" and isinstance(data.get("delta"), str):
            self.choices.setdefault(0, Choice()).text.append(data["delta"])
        if data.get("object") == "response":
            for item in _dicts(data.get("output")):
                parts = [part["text"] for part in _dicts(item.get("content")) if isinstance(part.get("text"), str)]
                self.choices.setdefault(0, Choice()).text += parts


def read(pieces: Iterable[bytes], *, events: bool) -> Answer:
    """Return what a body says.

    Args:
      pieces: of the body, cut anywhere.
      events: whether it is a stream of server-sent events; otherwise it is one JSON document.

    >>> read([b'data: {"choices": [{"text": "a', b'b"}]}\\n\\n', b'data: [DONE]\\n\\n'], events=True).choices[0].text
    ['ab']
    """
    answer = Answer()
    for document in _streamed(pieces) if events else (b"".join(pieces),):
        try:
            answer.take(json.loads(document))
        except (ValueError, RecursionError):
            answer.unreadable += 1
    return answer


def _streamed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    reader = EventReader()
    for piece in pieces:
        for block in reader.feed(piece):
            if block.data is not None and block.data.strip() != b"[DONE]":
                yield block.data


def _choice(choice: Choice, item: dict[str, Any]) -> None:
    for holder in (item, item.get("message"), item.get("delta")):
        if isinstance(holder, dict):
            choice.text += [holder[key] for key in ("text", "reasoning_content", "content") if isinstance(holder.get(key), str)]
    ids = item.get("token_ids")
    logprobs = item.get("logprobs")
    listed: list[int] = []
    if isinstance(logprobs, dict):
        listed = _positions(choice, logprobs.get("content"))
        older = logprobs.get("top_logprobs")
        for row in older if isinstance(older, list) else ():
            if isinstance(row, dict):
                choice.positions.append(_ranked(row.values()))
        columns = [logprobs.get(name) for name in ("tokens", "token_logprobs", "top_logprobs")]
        if all(isinstance(column, list) for column in columns):
            choice.told += [told_older(*cells) for cells in zip(*columns, strict=False)]
    choice.tokens += _ids(ids) or listed


def _llama_cpp(choice: Choice, data: dict[str, Any]) -> None:
    choice.text.append(data["content"])
    listed = _positions(choice, data.get("completion_probabilities"))
    choice.tokens += _ids(data.get("tokens")) or listed


def _positions(choice: Choice, items: Any) -> list[int]:
    """Add the positions of a list; return the ids that it names."""
    found = []
    for item in _dicts(items):
        choice.told.append(told(item))
        if type(item.get("id")) is int:
            found.append(item["id"])
        rows = _dicts(item.get("top_logprobs") or item.get("top_probs"))
        values = [row["logprob"] if "logprob" in row else _log(row.get("prob")) for row in rows]
        if values:
            choice.positions.append(_ranked(values))
    return found


def _ranked(values: Iterable[Any]) -> tuple[float, ...]:
    numbers = [float(v) if isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e300 else math.nan for v in values]
    return tuple(sorted(numbers, key=lambda v: -v if v == v else math.inf))


def _log(p: Any) -> float:
    return math.log(p) if isinstance(p, float | int) and p > 0 else -1e30 if p == 0 else math.nan


def _dicts(items: Any) -> Sequence[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else ()


def _ids(items: Any) -> list[int]:
    return [item for item in items if type(item) is int] if isinstance(items, list) else []


_USAGE = {"input": ("prompt_tokens", "input_tokens"), "output": ("completion_tokens", "output_tokens")}
