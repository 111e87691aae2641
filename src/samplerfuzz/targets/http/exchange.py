"""One request and what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is sent.

    Attributes:
      path: of the endpoint, for example `/completion`.
      body: the text of the body; None: a GET.
    """

    path: str
    body: str | None = None

    @classmethod
    def of(cls, path: str, fields: dict[str, Any]) -> Request:
        """Return a POST of a JSON object; NaN and the infinities become the literals that JSON does not have."""
        return cls(path=path, body=json.dumps(fields))

    def to_json(self) -> dict[str, Any]:
        """Return JSON data."""
        return {"path": self.path, "body": self.body}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back.

    Attributes:
      kind: "answered"; "hang" (nothing in time); "dropped" (the connection ended without an answer); "gone" (nothing listens).
      status: of HTTP, 0 where nothing was answered.
      text: the body, or what became of the connection.
    """

    kind: str
    status: int = 0
    text: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the server took the request."""
        return self.kind == "answered" and 200 <= self.status < 300

    @cached_property
    def data(self) -> Any:
        """The body as JSON, None where it is none; `NaN` and `Infinity` are none."""
        try:
            return json.loads(self.text, parse_constant=_refused)
        except ValueError:
            return None

    @property
    def summary(self) -> str:
        """One line for people."""
        head = f"{self.kind} {self.status}" if self.kind == "answered" else self.kind
        return f"{head}: {' '.join(self.text.split())[:200]}"


def _refused(literal: str) -> Any:
    raise ValueError(f"{literal} is not JSON")
