"""What GitHub Actions is told: one line a finding, at the line of the function, with nothing that a target could inject."""

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import crossing_token

from samplerfuzz.report.github import annotation_lines, summary
from samplerfuzz.report.place import Place, place_of
from samplerfuzz.report.recorder import entry
from samplerfuzz.report.schema import Report


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pkg").mkdir()
    Path("pkg/__init__.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    for path in ("samplers.py", "pkg/mod.py"):
        Path(path).write_text("raise SystemExit('executed')\n\n\n@x\ndef sample(logits):\n    pass\n", encoding="utf-8")


def report_of(found, known=None):
    return Report(
        version="0",
        seed=1,
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        settings={},
        status=1,
        reason="1 finding | at or above medium",
        alpha_spent=0.0,
        targets=[],
        findings=[entry(found, None, known)],
    )


@pytest.mark.parametrize(
    ("locator", "place"),
    [
        ("samplers.py:sample", Place("samplers.py", 5)),
        ("samplers.py:other", Place("samplers.py", 1)),
        ("pkg.mod:sample", Place("pkg/mod.py", 5)),
        ("builtin:top_k", None),
        ("nowhere.py:f", Place("nowhere.py", 1)),
        ("no.such.module:f", None),
    ],
)
def test_a_place_is_found_without_executing_anything(project, locator, place):
    assert place_of(locator) == place


def test_an_annotation_is_one_line_that_ends_where_it_should(project):
    found = crossing_token()
    found = replace(found, target="samplers.py:sample", violation=replace(found.violation, title="100 %\n::error::injected"))
    (line,) = annotation_lines(report_of(found))
    assert "\n" not in line
    assert line.startswith(f"::error file=samplers.py,line=5,title=samplerfuzz%3A {found.violation.check}::100 %25")
    (line,) = annotation_lines(report_of(found, known="issue, 3"))
    assert line.startswith("::notice ")


def test_a_summary_holds_no_markup_of_the_target(project):
    found = crossing_token()
    found = replace(found, violation=replace(found.violation, title="<script>|`[x](y)"))
    text = summary(report_of(found))
    assert "<script>" not in text
    assert "\\|\\`\\[x\\](y)" in text
    assert r"finding \| at" in text
