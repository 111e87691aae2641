"""What a person sees."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from synthetic import case, crossing_token, finding, run_events

from samplerfuzz.engine.events import Event, TargetFinished
from samplerfuzz.report.terminal import TerminalReporter

BLOCK = """\
╭─  HIGH  kept_token_has_probability · ab12cd34ef  ────────────────────────────╮
│ token 1 must stay and has no probability                                     │
│ target    samplers.py:mine                                                   │
│ stages    top_p; returns logits                                              │
│ logits    [0, 0.1]                                                           │
│ top_p     0.7                                                                │
│ expected  keep {0, 1}                                                        │
│ got       kept {1}                                                           │
│  token   logit   must   got                                                  │
│ ────────────────────────────────                                             │
│      0       0   keep     0   ✗                                              │
│      1     0.1   keep     1                                                  │
│ reproduce  python out/findings/ab12cd34ef.py                                 │
│ why        samplerfuzz explain kept_token_has_probability                    │
╰──────────────────────────────────────────────────────────────────────────────╯
"""


def shown(events: list[Event], *, quiet: bool = False, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=terminal, color_system=None, legacy_windows=False, _environ={})
    reporter = TerminalReporter(console, quiet, Path("out"))
    for event in events:
        reporter(event)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_finding_is_a_block() -> None:
    assert BLOCK in shown(run_events(crossing_token()))


def test_quiet_prints_findings_and_one_line() -> None:
    text = shown(run_events(crossing_token()), quiet=True)
    assert text.startswith(BLOCK)
    rest = text.removeprefix(BLOCK)
    assert rest == "1 finding at or above medium · 1,234 pairs in 2.1 s (587 a second) · exit 1 (findings at or above --fail-on)\n"


def test_the_summary_counts_what_was_done_and_what_was_not() -> None:
    text = shown(run_events(status=0, reason="nothing found"))
    assert "1,234" in text
    assert "1,234 pairs in 2.1 s (587 a second)" in text
    assert "normal 1,000, tied 201" in text
    assert "not applicable: draw_frequencies_match" in text
    assert "report: out/report.html" in text


def test_a_live_line_leaves_the_screen_and_the_cursor_as_they_were() -> None:
    text = shown(run_events(crossing_token()), terminal=True)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_text_of_a_target_is_neither_markup_nor_control() -> None:
    observed = {"outcome": "raised", "message": "ValueError: [bold red]x[/bold red] \x1b[2J\x07[/oops]"}
    hostile = finding(case([[0.0]], parameters={"top_p": [0.5]}), expected={"outcome": "value"}, observed=observed, title="[/] \x1b[31mred")
    text = shown(run_events(hostile))
    assert "[bold red]x[/bold red] \\x1b[2J\\x07[/oops]" in text
    assert "[/] \\x1b[31mred" in text
    assert "\x1b" not in text


def test_rows_histories_and_draws_are_named() -> None:
    batch = case(
        np.zeros((2, 2)),
        parameters={"temperature": [1.0, 0.1], "logit_bias": [{0: 2.0}, {}]},
        history=[[0, 1], []],
        seeds=[3, 4],
        u=[0.25, 0.5],
    )
    observed = {"outcome": "value", "batch": {"token": 1}, "alone": {"token": 0}}
    text = shown(run_events(finding(batch, expected={}, observed=observed, row=1, protocol="alone", per_row=True, returns="tokens")))
    assert "logits[1]" in text
    assert "this row" in text
    for line in (
        "temperature  [1, 0.1]",
        "logit_bias   {0: 2.0}, {}",
        "history      [0, 1], []",
        "seed         [3, 4]",
        "u            [0.25, 0.5]",
    ):
        assert line in text
    assert "in the batch" in text


def test_of_a_large_vocabulary_the_telling_tokens_are_shown() -> None:
    wide = case([np.arange(100.0)], parameters={"top_p": [0.5]})
    share = np.zeros(100)
    share[[3, 99]] = 0.25, 0.75
    expected = {"must": [99], "may": [], "never": list(range(64)), "least": 1}
    text = shown(
        run_events(finding(wide, expected=expected, observed={"outcome": "value", "kept": [3, 99], "probabilities": share.tolist()}))
    )
    assert "16 of 100 tokens" in text
    assert "3       3   remove   0.25   ✗" in text


def test_draws_show_share_and_bounds() -> None:
    seen = {"expected": {"low": [0.5, 0.4], "high": [0.5, 0.6]}, "observed": {"outcome": "value", "counts": [600, 400]}}
    text = shown(run_events(finding(case([[0.0, 0.0]]), **seen, protocol="draws", statistic={"n": 1000.0, "log_e": 25.5})))
    assert "n = 1,000, log_e = 25.5" in text
    assert "0.5     0.6   ✗" in text
    assert "0.4 … 0.6     0.4" in text


def test_a_share_within_its_standard_error_is_not_marked() -> None:
    seen = {"expected": {"must": [0, 1, 2], "low": [0.5, 0.499, 0.001], "high": [0.5, 0.499, 0.001]}, "observed": {"counts": [510, 490, 0]}}
    assert "✗" not in shown(run_events(finding(case([[0.0, 0.0, -6.0]]), **seen, protocol="draws")))


def test_a_long_name_gets_a_line_of_its_own() -> None:
    locator = "samplers.py:top_p_that_stops_before_the_crossing_token"
    lines = shown(run_events(status=0, reason="nothing found", target=locator)).splitlines()
    assert lines[lines.index("top_p_that_stops_before_the_crossing_token") + 1].startswith("  findings 0 · pairs 1,234")


def test_what_was_wrong_once_is_told() -> None:
    events = [
        replace(e, outcomes={**e.outcomes, "unconfirmed": 46}) if isinstance(e, TargetFinished) else e
        for e in run_events(status=0, reason="nothing found")
    ]
    assert "wrong once, right when asked again: samplers.py:mine 46" in shown(events)
