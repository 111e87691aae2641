"""Answers that the guard gives itself, in the form that clients of OpenAI's interface expect of an error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    content_type: bytes = b"application/json"

    @property
    def all_headers(self) -> Headers:
        """The headers with type and length."""
        return [(b"content-type", self.content_type), (b"content-length", str(len(self.body)).encode()), *self.headers]


def refusal(
    status: int, code: str, message: str, *, name: str | None = None, headers: Sequence[tuple[bytes, bytes]] = (), close: bool = False
) -> Reply:
    """Return an error object.

    Args:
      status: of HTTP.
      code: one word for what is wrong, fit for a program.
      message: what was found, what was expected.
      name: the parameter that is to blame.
      headers: further headers.
      close: whether the connection ends with it: what the client still sends is not read.
    """
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": name, "code": code}
    return Reply(
        status=status,
        body=json.dumps({"error": error}).encode(),
        headers=[*headers, *(((b"connection", b"close"),) if close else ())],
    )


def as_json(data: Any, status: int = 200) -> Reply:
    """Return data as an answer that no cache keeps."""
    return Reply(status=status, body=json.dumps(data).encode(), headers=((b"cache-control", b"no-store"),))
