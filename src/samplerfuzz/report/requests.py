"""A finding about a server: the requests that show it, and a program that sends them again with the standard library alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from samplerfuzz.checks.finding import Finding
from samplerfuzz.checks.http import shown
from samplerfuzz.report.text import printable
from samplerfuzz.targets.http import returned

_LONGEST = 400


def is_served(finding: Finding) -> bool:
    """Whether a finding is about a server."""
    return finding.violation.protocol == "http"


def request_lines(finding: Finding) -> list[tuple[str, str]]:
    """Return (name, value) of every request, in the order sent."""
    lines = []
    for request in finding.violation.observed["requests"]:
        body = request["body"]
        cut = "" if body is None else body if len(body) <= _LONGEST else f"{body[:_LONGEST]} … {len(body)} characters"
        lines.append((f"{'GET' if body is None else 'POST'} {request['path']}", printable(cut)))
    return lines


def served_source(finding: Finding) -> str:
    """Return the program: it exits 1 if the defect shows, 0 if not, 2 if the server does not answer."""
    v = finding.violation
    lines = [
        f"{v.severity.upper()}: {v.title}",
        "",
        f"claim    {v.check}",
        f"seen     {v.observed['message']}",
        "",
        f"usage    python {finding.id}.py [URL]",
        "exit     1 the defect shows, 0 it does not, 2 no server answers",
        "",
        "Runs without samplerfuzz: the standard library and the server are enough.",
    ]
    docstring = "\n".join(printable(line) for line in lines).replace("\\", "\\\\").replace('"""', "'''")
    return _template().render(
        docstring=f'"""{docstring}\n"""',
        url=repr(finding.target),
        requests=v.observed["requests"],
        kind=repr(v.observed["shows"]),
        constants=repr(v.observed["constants"]),
        seconds=float(v.observed["seconds"]),
        code=_inlined(returned) + "\n\n\n" + _inlined(shown),
    )


def _inlined(module: Any) -> str:
    """Return the definitions of a file that imports only the standard library and its neighbour."""
    text = Path(module.__file__).read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith(("from ", "import "))]
    return "\n".join(kept).partition('"""\n')[2].strip()


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("samplerfuzz.report"), autoescape=False, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["literal"] = repr
    return environment.get_template("served.py.j2")
