"""A finding as a block of text that a person understands at once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Finding
from samplerfuzz.report.evidence import Evidence, evidence
from samplerfuzz.report.requests import is_served, request_lines
from samplerfuzz.report.text import count, number, printable, shortest

COLOURS = {"critical": "bold white on red", "high": "bold red", "medium": "bold yellow", "low": "bold cyan"}
_ROWS, _TOKENS, _COLUMNS = 4, 16, 80
_FAILED = ("raised", "hang", "crash", "malformed")


def finding_block(finding: Finding, reproducer: Path | None, known: str | None = None) -> RenderableType:
    """Return the block: severity, claim, input, expected against got, statistic, how to run it again; `known` is why it is accepted."""
    v = finding.violation
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("target", Text(printable(finding.target)))
    if finding.version:
        facts.add_row("version", Text(printable(finding.version)))
    facts.add_row("stages", Text(stages(finding)))
    for name, value in given_lines(finding):
        facts.add_row(name, Text(value))
    for name, value in verdict_lines(finding):
        facts.add_row(name, Text(value))
    parts: list[RenderableType] = [Text(printable(v.title), style="bold"), facts]
    table = evidence(finding, _TOKENS)
    if table is not None:
        parts.append(_table(table))
    last = Table.grid(padding=(0, 2))
    last.add_column(style="dim", no_wrap=True)
    last.add_column(overflow="fold")
    if reproducer is not None:
        last.add_row("reproduce", Text(f"python {reproducer}"))
    last.add_row("why", Text(f"samplerfuzz explain {v.check}"))
    if known is not None:
        last.add_row("known", Text(printable(known)))
    parts.append(last)
    title = Text.assemble(" ", (v.severity.upper(), COLOURS[v.severity]), f"  {v.check} ", ("· ", "dim"), (f"{finding.id} ", "dim"))
    return Panel(
        Group(*parts), title=title, title_align="left", border_style=COLOURS[v.severity].split()[-1], box=box.ROUNDED, padding=(0, 1)
    )


def finding_text(finding: Finding) -> str:
    """Return the block as plain text of 80 columns, without colours and without a reproducer."""
    file = io.StringIO()
    Console(file=file, width=_COLUMNS, color_system=None, legacy_windows=False).print(finding_block(finding, None))
    return file.getvalue().rstrip()


def stages(finding: Finding) -> str:
    """Return the order of stages and what the target returns, in words."""
    order = " → ".join(finding.order) or "none"
    assumed = " (assumed from the signature)" if finding.order_was_assumed else ""
    return f"{order}{assumed}; returns {finding.returns}"


def given_lines(finding: Finding) -> list[tuple[str, str]]:
    """Return (name, value) of everything that a target was given: the case, or the requests to a server."""
    if is_served(finding):
        return request_lines(finding)
    return input_lines(finding.case, finding.violation.row, finding.per_row)


def input_lines(case: Case, row: int, per_row: bool) -> list[tuple[str, str]]:
    """Return (name, value) of everything in the case, the disputed row marked where there are several."""
    several = case.rows > 1
    lines = []
    for index in range(min(case.rows, _ROWS)) if several else [0]:
        mark = " ◀ this row" if several and index == row else ""
        lines.append((f"logits[{index}]" if several else "logits", _list(case.logits[index]) + mark))
    if case.rows > _ROWS:
        lines.append(("", f"… {case.rows} rows in all; the finding is in row {row}"))
    for name, values in case.parameters.items():
        lines.append((name, _parameter(values, per_row)))
    if case.history is not None and any(len(ids) for ids in case.history):
        shown = [f"{list(map(int, ids[:_TOKENS]))}" for ids in case.history[:_ROWS]]
        lines.append(("history", ", ".join(shown)))
    if case.seeds is not None:
        lines.append(("seed", _numbers(case.seeds) if per_row else str(int(case.seeds[0]))))
    if case.u is not None:
        lines.append(("u", _numbers(case.u)))
    if case.steps is not None:
        lines += _later_lines(case, row)
    return lines


def _later_lines(case: Case, row: int) -> list[tuple[str, str]]:
    """Return what the steps after the first are given, of the disputed row."""
    steps = case.steps
    assert steps is not None
    several = f"[{row}]" if case.rows > 1 else ""
    lines = [(f"step {step}{several}", _list(logits[row])) for step, logits in enumerate(steps.logits[:_ROWS], 1)]
    if len(steps.logits) > _ROWS:
        lines.append(("", f"… {steps.count} steps in all"))
    if steps.u is not None:
        lines.append((f"later u{several}", _list(steps.u[:, row])))
    return lines


def verdict_lines(finding: Finding) -> list[tuple[str, str]]:
    """Return (name, value) of what was expected and seen, and of the statistic where there is one."""
    v = finding.violation
    lines = []
    sets = [
        f"{word} {_ids(v.expected[key])}"
        for key, word in (("must", "keep"), ("may", "keep or remove"), ("never", "remove"))
        if v.expected.get(key)
    ]
    if sets:
        lines.append(("expected", "; ".join(sets)))
    elif v.expected.get("outcome", "value") != "value" or v.observed.get("outcome") in _FAILED:
        words = {"value": "an answer", "refusal or value": "a fair answer, or a refusal", "refusal or NaN": "a refusal, or NaN"}
        lines.append(
            ("expected", words.get(str(v.expected["outcome"]), str(v.expected["outcome"])) if "outcome" in v.expected else "an answer")
        )
    if v.observed.get("taken"):
        lines.append(("after", "tokens " + ", ".join(map(str, v.observed["taken"]))))
    got = _got(v.observed)
    if got:
        lines.append(("got", got))
    if v.statistic:
        lines.append(("statistic", ", ".join(f"{name} = {count(x) if name == 'n' else number(x)}" for name, x in v.statistic.items())))
    return lines


def _got(observed: dict[str, Any]) -> str:
    message = printable(observed.get("message", ""))
    outcome = observed.get("outcome")
    if outcome in _FAILED:
        return f"{outcome}: {message}" if message else str(outcome)
    if "kept" in observed:
        return f"kept {_ids(observed['kept'])}"
    if "token" in observed and "first" not in observed:
        return f"token {observed['token']}"
    if "values" in observed:
        return f"{outcome}: " + ", ".join(map(printable, observed["values"][:_TOKENS]))
    if observed.get("mutated"):
        return "the caller's array was overwritten"
    if "tokens" in observed:
        return f"tokens {observed['tokens']} …"
    return message


def _table(data: Evidence) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    has_roles = any(r.role for r in data.rows)
    has_bounds = any(r.low is not None for r in data.rows)
    table.add_column("token", justify="right")
    table.add_column("logit", justify="right")
    if has_roles:
        table.add_column("must")
    if has_bounds:
        table.add_column(data.expected_label, justify="right")
    table.add_column(data.got_label, justify="right")
    table.add_column("")
    for row in data.rows:
        cells = [str(row.token), shortest(np.float32(row.logit))]
        if has_roles:
            cells.append(row.role)
        if has_bounds:
            cells.append(bounds(row.low, row.high))
        cells += ["–" if row.got is None else number(row.got), "✗" if row.wrong else ""]
        table.add_row(*cells, style="red" if row.wrong else None)
    if data.total > len(data.rows):
        table.caption = f"{len(data.rows)} of {data.total} tokens"
    return table


def bounds(low: float | None, high: float | None) -> str:
    """Return an interval of probability, or one number where its ends print alike."""
    if low is None or high is None:
        return ""
    left, right = number(low), number(high)
    return left if left == right else f"{low:.4g} … {high:.4g}"


def _parameter(values: Any, per_row: bool) -> str:
    if isinstance(values, list):
        shown = [
            str({int(i): float(b) for i, b in row.items()} if isinstance(row, dict) else list(map(int, row))) for row in values[:_ROWS]
        ]
        return ", ".join(shown) if per_row else shown[0]
    return _numbers(values) if per_row else shortest(values[0])


def _numbers(values: np.ndarray) -> str:
    if len(values) == 1:
        return shortest(values[0])
    return _list(values)


def _list(values: np.ndarray) -> str:
    shown = ", ".join(shortest(x) for x in values[:_TOKENS])
    return f"[{shown}]" if len(values) <= _TOKENS else f"[{shown}, … {len(values)} in all]"


def _ids(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:_TOKENS]))
    return "{" + (shown if len(ids) <= _TOKENS else f"{shown}, … {len(ids)} in all") + "}"
