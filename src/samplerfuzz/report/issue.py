"""A finding as a bug report in Markdown, ready for the tracker of whoever made the sampler."""

from __future__ import annotations

from textwrap import dedent

import jinja2

import samplerfuzz
from samplerfuzz.checks.finding import Finding
from samplerfuzz.checks.registry import Check
from samplerfuzz.report.evidence import evidence
from samplerfuzz.report.finding_text import input_lines, stages, verdict_lines
from samplerfuzz.report.reproducer import reproducer_source
from samplerfuzz.report.text import number, printable

_TOKENS = 16


def issue_text(finding: Finding, check: Check) -> str:
    """Return the report: what happens, on which input, why it is wrong, a program that shows it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("samplerfuzz.report"),
        autoescape=False,  # Markdown: every value goes through `_cell`
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    v = finding.violation
    table = evidence(finding, _TOKENS)
    name = finding.target.rpartition(":")[2]
    rows = [
        {
            "token": row.token,
            "logit": number(row.logit),
            "role": row.role,
            "got": "–" if row.got is None else number(row.got),
            "wrong": row.wrong,
        }
        for row in (table.rows if table else ())
    ]
    return environment.get_template("issue.md.j2").render(
        title=f"{_cell(name)}: {_cell(v.title)}",
        what=f"`{_cell(finding.target)}` ({_cell(stages(finding))})",
        finding=finding,
        version=_cell(finding.version),
        inputs=[(_cell(key), _cell(value)) for key, value in input_lines(finding.case, v.row, finding.per_row)],
        verdict=[(_cell(key), _cell(value)) for key, value in verdict_lines(finding)],
        rows=rows,
        explanation=" ".join(dedent(check.explanation).split()),
        reproducer=reproducer_source(finding).rstrip(),
        tool=samplerfuzz.__version__,
    )


def _cell(value: str) -> str:
    """Return text that ends no cell and no code span."""
    return printable(value).replace("|", "\\|").replace("`", "'")
