"""A finding token by token: what was expected of each, and what it got. The terminal and the HTML page show the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from samplerfuzz.checks.finding import Finding

ROLES = {"must": "keep", "may": "either", "never": "remove"}


@dataclass(frozen=True, kw_only=True)
class TokenRow:
    """One token of the disputed row.

    Attributes:
      role: "keep", "either", "remove", or "" where the finding is not about sets.
      low, high: bounds of its probability (equal where the value is exact), or None.
      got: its probability, share of the draws, or 1 for a drawn token; None where nothing came back.
      wrong: expected and got disagree.
    """

    token: int
    logit: float
    role: str
    low: float | None
    high: float | None
    got: float | None
    wrong: bool


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Rows with the headings of their two columns; `total` tokens, of which `rows` shows the telling ones."""

    expected_label: str
    got_label: str
    rows: tuple[TokenRow, ...]
    total: int


def evidence(finding: Finding, limit: int = 16) -> Evidence | None:
    """Return the table of a finding, or None where it is not about tokens; beyond `limit` tokens only the telling ones."""
    expected, observed, labels = _sides(finding)
    if not (observed.keys() & {"token", "probabilities", "counts"}):
        return None
    size = finding.case.vocabulary
    roles = {token: role for key, role in ROLES.items() for token in expected.get(key) or ()}
    low, high = _bounds(expected, size)
    got = _got(observed, size)
    drawn = "token" in observed
    draws = sum(_real(x) or 0.0 for x in observed.get("counts") or ())
    logits = finding.case.logits_at(int(observed.get("step", 0)))[finding.violation.row]
    rows = []
    for token in range(size):
        role = roles.get(token, "")
        bottom, top, value = low[token], high[token], got[token]
        stray = observed["slack"][token] if "slack" in observed else _standard_errors(bottom, top, draws)
        wrong = _contradicts(role, bottom, top, value, drawn=drawn, counted=draws > 0, stray=stray)
        rows.append(
            TokenRow(
                token=token,
                logit=float(logits[token]),
                role=role,
                low=bottom,
                high=top,
                got=value,
                wrong=wrong,
            )
        )
    shown = rows if size <= limit else _telling(rows, limit)
    return Evidence(expected_label=labels[0], got_label=labels[1], rows=tuple(shown), total=size)


def _sides(finding: Finding) -> tuple[dict[str, Any], dict[str, Any], tuple[str, str]]:
    v = finding.violation
    if v.protocol == "alone":
        alone = v.expected.get("alone") or v.observed.get("alone") or {}
        return alone, v.observed.get("batch", v.observed), ("alone", "in the batch")
    if v.protocol == "after another":
        return v.observed["again"], v.observed["after another"], ("again", "after another")
    if v.protocol in ("relation", "repeat"):
        return _as_answer(v.observed.get("first")), _as_answer(v.observed.get("second")), ("first", "second")
    return v.expected, v.observed, ("expected", "share" if "counts" in v.observed else "got")


def _as_answer(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"probabilities": value}
    return {} if value is None else {"token": value}


def _bounds(expected: dict[str, Any], size: int) -> tuple[list[float | None], list[float | None]]:
    for bottom, top in (("probabilities", "probabilities"), ("low", "high")):
        if len(expected.get(bottom) or ()) == len(expected.get(top) or ()) == size:
            return [_real(x) for x in expected[bottom]], [_real(x) for x in expected[top]]
    if isinstance(expected.get("token"), int):
        one: list[float | None] = [float(token == expected["token"]) for token in range(size)]
        return one, one
    return [None] * size, [None] * size


def _got(observed: dict[str, Any], size: int) -> list[float | None]:
    if "token" in observed and "probabilities" not in observed:
        return [float(token == observed["token"]) for token in range(size)]
    values = observed.get("probabilities") or observed.get("counts") or ()
    if len(values) != size:
        return [None] * size
    numbers = [_real(x) for x in values]
    if "counts" in observed:
        total = sum(x or 0.0 for x in numbers) or 1.0
        return [None if x is None else x / total for x in numbers]
    return numbers


def _real(value: Any) -> float | None:
    return None if value is None else float(value)


def _standard_errors(low: float | None, high: float | None, draws: float) -> float:
    """Return how far the share of a fair token may stray among so many draws; 0 where nothing was drawn."""
    if low is None or high is None or not draws:
        return 0.0
    return 4 * math.sqrt(max(high * (1 - high), low * (1 - low), 0.0) / draws) + 4 / draws


def _contradicts(role: str, low: float | None, high: float | None, got: float | None, *, drawn: bool, counted: bool, stray: float) -> bool:
    if got is None or got != got:
        return got is not None
    if role == "remove":
        return got > 0
    if drawn and role:
        return False
    if role == "keep" and got == 0 and not counted:
        return True
    if low is None or high is None:
        return False
    slack = stray or 1e-4 * max(abs(low), abs(high)) + 1e-30
    return not low - slack <= got <= high + slack


def _telling(rows: list[TokenRow], limit: int) -> list[TokenRow]:
    """Return the rows that disagree, then the most probable ones, in token order."""
    ranked = sorted(rows, key=lambda r: (not r.wrong, -(r.got or 0.0), -(r.high or 0.0), r.token))
    return sorted(ranked[:limit], key=lambda r: r.token)
