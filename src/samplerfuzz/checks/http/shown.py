"""Whether a defect shows in replies. A reproducer holds this file and `returned.py` as they are: the standard library is enough."""

from __future__ import annotations

import json
import math
from typing import Any

from samplerfuzz.targets.http.returned import listed, text_of

# A reply is a mapping of kind ("answered", "hang", "dropped", "gone"), status and text.


def shown(kind: str, replies: list[dict[str, Any]], constants: dict[str, Any]) -> str:
    """Return what is wrong in one line, "" where the defect does not show."""
    found: str = globals()[f"_{kind}"](replies, **constants)
    return found


def data_of(reply: dict[str, Any]) -> Any:
    """Return the JSON of an accepted reply, None where there is none."""
    if reply["kind"] != "answered" or not 200 <= reply["status"] < 300:
        return None
    try:
        return json.loads(reply["text"])
    except ValueError:
        return None


def _words(reply: dict[str, Any]) -> str:
    return f"{reply['status']}: {' '.join(reply['text'].split())[:160]}"


def _hang(replies: list[dict[str, Any]]) -> str:
    return next((reply["text"] for reply in replies if reply["kind"] == "hang"), "")


def _gone(replies: list[dict[str, Any]]) -> str:
    """The last one asks whether anything answers still."""
    return "" if replies[-1]["kind"] == "answered" else f"nothing answers any more ({replies[-1]['text']})"


def _dropped(replies: list[dict[str, Any]]) -> str:
    return next((reply["text"] for reply in replies if reply["kind"] == "dropped"), "")


def _failed(replies: list[dict[str, Any]]) -> str:
    return next((_words(reply) for reply in replies if reply["kind"] == "answered" and reply["status"] >= 500), "")


def _no_json(replies: list[dict[str, Any]]) -> str:
    for reply in replies:
        if reply["kind"] == "answered" and 200 <= reply["status"] < 300:
            try:
                json.loads(reply["text"], parse_constant=_refused)
            except ValueError as error:
                return f"{error}: {' '.join(reply['text'].split())[:120]}"
    return ""


def _refused(literal: str) -> Any:
    raise ValueError(f"{literal} is not JSON")


def _refusal(replies: list[dict[str, Any]]) -> str:
    reply = replies[0]
    return _words(reply) if reply["kind"] == "answered" and 400 <= reply["status"] < 500 and reply["status"] != 429 else ""


def _accepted(replies: list[dict[str, Any]]) -> str:
    reply = replies[0]
    return f"answered with {text_of(data_of(reply))!r}" if text_of(data_of(reply)) is not None else ""


def _setting(replies: list[dict[str, Any]], name: str, sent: float, low: float, high: float) -> str:
    """Beyond `low` and `high` a value may be taken for the nearest one that a server has."""
    settings = (data_of(replies[0]) or {}).get("generation_settings") or {}
    used = settings.get(name)
    if isinstance(used, bool) or not isinstance(used, int | float):
        return ""
    same = used == sent or math.isclose(used, sent, rel_tol=1e-6, abs_tol=1e-38)
    clipped = (sent > high and used >= high) or (sent < low and used <= low)
    return "" if same or clipped else f"{name}={sent!r} was sent, {name}={used!r} was used"


def _texts_differ(replies: list[dict[str, Any]]) -> str:
    texts = [text_of(data_of(reply)) for reply in replies]
    return f"{texts[0]!r} and then {next(t for t in texts if t != texts[0])!r}" if None not in texts and len(set(texts)) > 1 else ""


def _texts_agree(replies: list[dict[str, Any]]) -> str:
    texts = [text_of(data_of(reply)) for reply in replies]
    return f"{len(texts)} times {texts[0]!r}" if texts[0] and len(texts) > 1 and len(set(texts)) == 1 else ""


def _not_best(replies: list[dict[str, Any]]) -> str:
    """The first reply is judged by what the last one, of neutral parameters, lists; they may be one."""
    judged, reference = listed(data_of(replies[0])), listed(data_of(replies[-1]))
    if judged is None or reference is None or judged.chosen in reference.best:
        return ""
    return f"token {judged.chosen!r} was taken; the most probable is {sorted(map(repr, reference.best))[0]}"


def _same_probabilities(replies: list[dict[str, Any]]) -> str:
    first, second = listed(data_of(replies[0])), listed(data_of(replies[1]))
    if first is None or second is None or len(first.names) < 2:
        return ""
    return "the probabilities are the same" if (first.names, first.logprobs) == (second.names, second.logprobs) else ""


def _probability(replies: list[dict[str, Any]], token: int, low: float, high: float) -> str:
    answer = listed(data_of(replies[0]))
    if answer is None:
        return ""
    p = math.exp(dict(zip(answer.names, answer.logprobs)).get(token, -math.inf))
    return "" if low <= p <= high else f"token {token} has probability {p:.6g}, not {low:.6g} to {high:.6g}"


def _count(replies: list[dict[str, Any]], least: int, most: int) -> str:
    answer = listed(data_of(replies[0]))
    if answer is None:
        return ""
    kept = sum(p > -math.inf for p in answer.logprobs)
    return "" if least <= kept <= most else f"{kept} tokens are kept, not {least} to {most}"
