"""The report of a run on validators: report.json, junit.xml, report.html, and a program for each finding that shows it again."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import samplerfuzz
from samplerfuzz.report.files import write_atomically
from samplerfuzz.report.pages import template
from samplerfuzz.report.text import count, printable
from samplerfuzz.safety.fuzzing.campaign import ValidatorFinding, claims_on
from samplerfuzz.safety.fuzzing.claims import CLAIMS

_LONGEST = 4000
_PROGRAM = '''\
"""{title}

{message}

Finding {id} of samplerfuzz {version}. Exit status 1: it reproduces; 0: it does not.
"""

import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np

from samplerfuzz.safety.fuzzing.again import broken_again

inf, nan = float("inf"), float("nan")
POLICY = {policy}
CONFIG = {config}

said = broken_again(POLICY, {subject}, {claim}, CONFIG)
print(f"{{said}}: the defect REPRODUCES" if said else "the claim holds")
sys.exit(bool(said))
'''


def write_report(directory: Path, report: Mapping[str, Any], text: str) -> None:
    """Write report.json, junit.xml and report.html.

    Args:
      directory: where to.
      report: the run as JSON data, each finding with its `reproducer` or None.
      text: of report.json.

    Raises:
      UsageError: a file cannot be written.
    """
    write_atomically(directory / "report.json", text)
    write_atomically(directory / "junit.xml", _junit(report))
    page = template("validators.html.j2", printable=printable, count=count)
    write_atomically(directory / "report.html", page.render(report=report, version=samplerfuzz.__version__))


def write_reproducer(
    directory: Path, finding: ValidatorFinding, policy_file: Path | None, again: Callable[[Mapping[Any, Any]], bool]
) -> str | None:
    """Write findings/ID.py and return its name; None where no program can say what was thrown, or it does not show the defect again."""
    source = python_text(dict(finding.config))
    if source is None or len(source) > _LONGEST or not again(finding.config):
        return None
    path = directory / "findings" / f"{finding.id}.py"
    program = _PROGRAM.format(
        title=_in_docstring(f"{finding.subject} breaks {finding.claim}: {CLAIMS[finding.claim]}"),
        message=_in_docstring(finding.message),
        id=finding.id,
        version=samplerfuzz.__version__,
        policy=repr(None if policy_file is None else str(policy_file.resolve())),
        config=source,
        subject=repr(finding.subject),
        claim=repr(finding.claim),
    )
    write_atomically(path, program)
    return path.relative_to(directory).as_posix()


def python_text(value: Any) -> str | None:
    """Return Python source of a value, with `inf`, `nan`, `np`, `Decimal` and `Fraction` known; None where it has none.

    >>> python_text({"top_k": [np.int64(3), float("nan")]}), python_text(object())
    ("{'top_k': [np.int64(3), nan]}", None)
    """
    if value is None or type(value) in (bool, int, bytes, Decimal, Fraction):
        return _plain(value)
    if type(value) is str:
        return ascii(value)
    if type(value) is float:
        return repr(value) if math.isfinite(value) else {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    if isinstance(value, np.generic) and not isinstance(value, np.longdouble):
        return repr(value).replace("(nan)", "('nan')").replace("(inf)", "('inf')").replace("(-inf)", "('-inf')")
    if type(value) in (list, tuple):
        items = [python_text(item) for item in value]
        known = [item for item in items if item is not None]
        inner = ", ".join(known) + ("," if type(value) is tuple and len(known) == 1 else "")
        return None if len(known) < len(items) else f"[{inner}]" if type(value) is list else f"({inner})"
    if type(value) is dict:
        pairs = [(python_text(name), python_text(item)) for name, item in value.items()]
        return None if any(None in pair for pair in pairs) else "{" + ", ".join(f"{name}: {item}" for name, item in pairs) + "}"
    return None


def _plain(value: Any) -> str | None:
    try:
        return repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return None


def _in_docstring(text: str) -> str:
    return ascii(printable(text))[1:-1].replace('"', "'")


def _junit(report: Mapping[str, Any]) -> str:
    """Return junit.xml: a suite a subject, a case a claim."""
    root = ET.Element("testsuites", name="samplerfuzz validators", time=f"{report['seconds']:.3f}")
    tests = failures = 0
    for subject in report["subjects"]:
        found = [finding for finding in report["findings"] if finding["subject"] == subject]
        names = list(dict.fromkeys([*claims_on(subject), *(finding["claim"] for finding in found)]))
        suite = ET.SubElement(root, "testsuite", name=printable(subject), tests=str(len(names)), timestamp=report["started"])
        for name in names:
            case = ET.SubElement(suite, "testcase", classname=printable(subject), name=name)
            broken = [finding for finding in found if finding["claim"] == name]
            if broken:
                failure = ET.SubElement(case, "failure", type="high", message=printable(CLAIMS[name]))
                failure.text = "\n\n".join(_told(broken))
        failed = len({finding["claim"] for finding in found})
        suite.set("failures", str(failed))
        tests, failures = tests + len(names), failures + failed
    root.set("tests", str(tests))
    root.set("failures", str(failures))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _told(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    return [printable(f"{f['id']}: {f['message']}" + (f"; {f['reproducer']}" if f["reproducer"] else "")) for f in findings]
