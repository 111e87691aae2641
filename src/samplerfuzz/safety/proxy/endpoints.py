"""Which paths exist behind the guard: those whose settings are judged, and those let by. Everything else is not there.

A path is compared with this list byte for byte as it was sent, before any decoding, and it is the list's own spelling that is sent on: no
absolute address, `//host`, `..`, `%2e` or trailing slash leads anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from samplerfuzz.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One path whose requests are judged.

    Attributes:
      operation: OpenTelemetry's name of what it does, `gen_ai.operation.name`.
      shape: whose answers it gives: "completions", "chat", "llama.cpp" or "responses".
    """

    operation: str
    shape: str


GUARDED: Mapping[str, Endpoint] = MappingProxyType(
    {
        "/v1/completions": Endpoint(operation="text_completion", shape="completions"),
        "/v1/chat/completions": Endpoint(operation="chat", shape="chat"),
        "/chat/completions": Endpoint(operation="chat", shape="chat"),
        "/completion": Endpoint(operation="text_completion", shape="llama.cpp"),
        "/completions": Endpoint(operation="text_completion", shape="completions"),
        "/infill": Endpoint(operation="text_completion", shape="llama.cpp"),
        "/v1/responses": Endpoint(operation="generate_content", shape="responses"),
    }
)
# what draws no token: nothing in it is a sampling parameter
LET_BY = (
    "GET /v1/models",
    "GET /models",
    "GET /health",
    "GET /v1/health",
    "GET /version",
    "GET /ping",
    "GET /props",
    "POST /v1/embeddings",
    "POST /embeddings",
    "POST /embedding",
    "POST /tokenize",
    "POST /detokenize",
    "POST /apply-template",
)
_MODEL = re.compile(r"/v1/models/[A-Za-z0-9_][A-Za-z0-9._:@-]*(?:/[A-Za-z0-9_][A-Za-z0-9._:@-]*)?")
_RULE = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[A-Za-z0-9._~/-]*)")


def is_let_by(method: str, path: str, rules: frozenset[str]) -> bool:
    """Return whether a request of this method and path is sent on unread.

    >>> is_let_by("GET", "/v1/models/org/name", frozenset()), is_let_by("GET", "/v1/models/../slots", frozenset())
    (True, False)
    """
    asked = "GET" if method == "HEAD" else method
    return f"{asked} {path}" in rules or (asked == "GET" and _MODEL.fullmatch(path) is not None)


def rule(text: str) -> str:
    """Return "METHOD /path" as it stands.

    Raises:
      UsageError: it is no such rule, or would let a path by whose settings are judged.
    """
    found = _RULE.fullmatch(text)
    if found is None or "//" in text or any(part in (".", "..") for part in text.split("/")):
        raise UsageError(f'--allow {text!r}: expected a method and a plain path, as in "GET /slots"')
    if found[2] in GUARDED:
        raise UsageError(f"--allow {text!r}: what {found[2]} is asked is held to the policy; it cannot be let by")
    return text
