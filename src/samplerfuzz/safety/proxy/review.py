"""What becomes of one request: read strictly, held to the policy, sent on as it came, sent on clamped, or refused before the model sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from samplerfuzz.safety.bounds import REJECT
from samplerfuzz.safety.policy import OPEN, Decision, Policy
from samplerfuzz.safety.proxy import headers as _headers
from samplerfuzz.safety.proxy.replies import Reply, refusal
from samplerfuzz.safety.proxy.strict_json import MalformedError, read_object
from samplerfuzz.safety.results import Result, worst

# what people wrote: no validator of settings is shown it, and no log can hold it
TEXTS = frozenset(
    "prompt messages input instructions suffix input_prefix input_suffix input_extra prediction tools functions documents "
    "image_data audio metadata user safety_identifier prompt_cache_key".split()
)
MOST_FIELDS = 128  # what servers know is fewer; each that nobody knows costs a search for the name that was meant


@dataclass(frozen=True, kw_only=True)
class Review:
    """What was decided of one request.

    Attributes:
      action: "accept", "flag", "clamp" or "reject"; "reject" too where the body could not be read.
      reason: "policy", "malformed" (with the parser's code after a colon) or "error": the policy itself failed.
      body: what is sent on.
      rewritten: whether that is not what came, byte for byte.
      data: the request as it was read, {} where it could not be.
      settings: what the policy was shown, with what is sent on in place of what came.
      results: what the policy noticed.
      reply: the answer to a refused request.
    """

    action: str
    reason: str = "policy"
    body: bytes = b""
    rewritten: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    results: Sequence[Result] = ()
    reply: Reply | None = None

    @property
    def streams(self) -> bool:
        """Whether the answer was asked for piece by piece."""
        return self.data.get("stream") is True


def review(policy: Policy, raw_headers: _headers.Raw, body: bytes, *, depth: int) -> Review:
    """Read a request and hold it to the policy.

    A body that is accepted or flagged is sent on byte for byte. Where the policy itself fails, its `on_error` says whether the request is
    refused ("closed") or sent on ("open"); what could not be read is refused in either case.
    """
    try:
        _is_json(raw_headers)
        data = read_object(body, deepest=depth)
        _is_switch(data, "stream")
        if len(data) > MOST_FIELDS:
            raise MalformedError("too_many_fields", f"the body has {len(data)} fields; expected at most {MOST_FIELDS}")
    except MalformedError as error:
        reply = refusal(400, error.code, str(error), name=error.name)
        return Review(action="reject", reason=f"malformed:{error.code}", body=body, reply=reply)
    settings = {name: value for name, value in data.items() if name not in TEXTS}
    try:
        decision = policy.decide(settings)
        return _reviewed(decision, body, data, settings)
    except Exception as error:  # whatever a validator of a third party raises; the policy says what that means
        kind = type(error).__name__
        if policy.on_error == OPEN:
            return Review(action="flag", reason=f"error:{kind}", body=body, data=data, settings=settings)
        reply = refusal(503, "guard_failed", f"the policy could not be applied ({kind}); the request was not sent on")
        return Review(action="reject", reason=f"error:{kind}", body=body, data=data, settings=settings, reply=reply)


def _reviewed(decision: Decision, body: bytes, data: dict[str, Any], settings: dict[str, Any]) -> Review:
    results = tuple(decision.results)
    if decision.action == "reject":
        return Review(action="reject", data=data, settings=settings, results=results, reply=_refused(results))
    wanted = dict(decision.config)
    if wanted == settings and all(type(wanted[name]) is type(value) for name, value in settings.items()):
        return Review(action=decision.action, body=body, data=data, settings=settings, results=results)
    # a text is never the policy's to change, and what the policy took out is taken out
    changed = {name: value for name, value in data.items() if name in TEXTS or name in wanted}
    changed |= {name: value for name, value in wanted.items() if name not in TEXTS}
    written = json.dumps(changed, allow_nan=False, separators=(",", ":")).encode()
    return Review(action=decision.action, body=written, rewritten=True, data=changed, settings=wanted, results=results)


def _refused(results: Sequence[Result]) -> Reply:
    guilty = [item for item in results if item.evidence.get("action") == REJECT]
    if not guilty:
        guilty = [item for item in results if item.severity == worst(results)]
    named = next((item.parameter for item in guilty if item.parameter), None)
    message = "; ".join(item.message for item in guilty) or "the policy refuses this request"
    return refusal(400, "refused_by_policy", message[:2000], name=named)


def _is_json(raw_headers: _headers.Raw) -> None:
    kind = _headers.one(raw_headers, b"content-type")
    media, _, options = (kind or b"").decode("latin-1").lower().partition(";")
    named = options.replace(" ", "").replace('"', "")
    if media.strip() != "application/json" or named not in ("", "charset=utf-8"):
        shown = "absent" if kind is None else repr(kind.decode("latin-1")[:60])
        raise MalformedError("wrong_content_type", f"the content type is {shown}; expected application/json")
    coding = _headers.one(raw_headers, b"content-encoding")
    if coding not in (None, b"identity"):
        shown = repr((coding or b"").decode("latin-1")[:60])
        raise MalformedError("encoded_body", f"the content encoding is {shown}; expected the body as it is")


def _is_switch(data: Mapping[str, Any], name: str) -> None:
    if name in data and not (data[name] is None or isinstance(data[name], bool)):
        raise MalformedError("wrong_type", f"{name} is {type(data[name]).__name__}; expected true or false", name)
