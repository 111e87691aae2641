"""Known findings: what a team has looked at and accepted for a while, so that a run fails only on what is new."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from samplerfuzz.checks.finding import Finding
from samplerfuzz.core.errors import UsageError


class Known(BaseModel):
    """One accepted finding.

    Attributes:
      id: fingerprint of check, target and regime; the same in every run.
      check, target, title: for the reader.
      reason: why it is accepted.
      expires: last day on which it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    check: str
    target: str
    title: str = ""
    reason: str = Field(min_length=1)
    expires: date


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int = Field(default=1, ge=1, le=1)
    findings: list[Known] = []


@dataclass(frozen=True)
class Baseline:
    """The known findings by id; `Baseline({})` knows none."""

    entries: Mapping[str, Known]

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Return the baseline in a file.

        Raises:
          UsageError: it cannot be read, is no baseline, or names a finding twice; the message names the place.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {str(path)!r}: {error}; `samplerfuzz baseline add` writes one") from error
        try:
            known = _File.model_validate_json(text).findings
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "file"
            raise UsageError(f"{path}: {where}: {first['msg']}; an entry has id, check, target, reason and expires (YYYY-MM-DD)") from None
        entries = {entry.id: entry for entry in known}
        if len(entries) < len(known):
            twice = next(e.id for i, e in enumerate(known) if e.id in {k.id for k in known[:i]})
            raise UsageError(f"{path}: the finding {twice} is named twice; keep one entry")
        return cls(entries)

    def text(self) -> str:
        """Return the text of the file, the same for the same entries in any order."""
        ordered = sorted(self.entries.values(), key=lambda e: (e.target, e.check, e.id))
        data: dict[str, Any] = {"version": 1, "findings": [entry.model_dump(mode="json") for entry in ordered]}
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"

    def with_findings(self, findings: Iterable[Finding], *, reason: str, expires: date) -> Baseline:
        """Return the baseline with `findings` accepted until `expires`; one that is there already gets the new reason and day."""
        new = {
            f.id: Known(id=f.id, check=f.violation.check, target=f.target, title=f.violation.title, reason=reason, expires=expires)
            for f in findings
        }
        return Baseline({**self.entries, **new})

    def accepted(self, today: date) -> dict[str, str]:
        """Return id -> reason of the entries that hold `today`."""
        return {e.id: e.reason for e in self.entries.values() if e.expires >= today}

    def expired(self, today: date) -> list[Known]:
        """Return the entries that hold no more."""
        return [e for e in self.entries.values() if e.expires < today]
