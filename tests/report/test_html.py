"""The HTML page: everything in it, nothing outside, nothing executable."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from synthetic import case, crossing_token, finding, run_events

from samplerfuzz.checks.finding import Finding
from samplerfuzz.report.html import report_html
from samplerfuzz.report.recorder import Recorder

VOID = {"meta", "br", "img", "link"}


def page(*findings: Finding, status: int = 1, reason: str = "1 finding at or above medium", source: str = "import numpy") -> str:
    recorder = Recorder(started=datetime(2026, 1, 2, tzinfo=UTC))
    for event in run_events(*findings, status=status, reason=reason):
        recorder(event)
    return report_html(recorder.report(), recorder.ordered(), {f.id: source for f in findings})


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_tag_is_closed() -> None:
    tags = _Tags()
    tags.feed(page(crossing_token()))
    assert tags.open == []
    assert "script" not in tags.seen


def test_the_page_needs_nothing_else() -> None:
    text = page(crossing_token())
    assert not re.search(r"(src|href)=\"(?!#)|url\(|@import|https?://", text)


def test_hostile_text_is_shown_as_text() -> None:
    hostile = finding(
        case([[0.0]], parameters={"top_p": [0.5]}),
        expected={"outcome": "value"},
        observed={"outcome": "raised", "message": "<img src=x onerror=alert(1)> {{ 7*7 }}"},
        title="</details><script>alert(1)</script>\x1b[0m",
    )
    text = page(hostile, source="</pre><script>alert(2)</script>\x07")
    assert "<script" not in text
    assert "<img" not in text
    assert "{{ 7*7 }}" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", text)


def test_bars_and_case_are_there() -> None:
    text = page(crossing_token())
    assert '<rect class="got" y="3" width="100.0" height="8"/>' in text
    for piece in ("kept_token_has_probability", "[0, 0.1]", "import numpy", "Reproducer"):
        assert piece in text


@pytest.mark.parametrize(
    ("status", "reason", "verdict"),
    [(0, "nothing found", "No bugs found"), (3, "refused", "Nothing could be tested"), (130, "interrupted", "Interrupted")],
)
def test_the_verdict_without_findings(status: int, reason: str, verdict: str) -> None:
    text = page(status=status, reason=reason)
    assert f"</span>{verdict}</h1>" in text
    assert f"exit status {status}" in text
