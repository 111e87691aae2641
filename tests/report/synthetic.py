"""Findings and runs made by hand, for the reporters."""

from __future__ import annotations

from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.steps import Steps
from samplerfuzz.checks.finding import Finding, Violation
from samplerfuzz.engine.events import Event, FindingFound, Progress, RunFinished, RunStarted, TargetFinished, TargetStarted


def case(logits: Any, **fields: Any) -> Case:
    """Return a case; parameters are given as `parameters={"top_p": [0.5]}`."""
    parameters = {n: v if n == "logit_bias" else np.array(v, np.float64) for n, v in fields.pop("parameters", {}).items()}
    arrays = {"seeds": np.int64, "u": np.float64, "prompt_length": np.int64}
    for name, kind in arrays.items():
        if name in fields:
            fields[name] = np.array(fields[name], kind)
    if "history" in fields:
        fields["history"] = tuple(np.array(ids, np.int64) for ids in fields["history"])
    if "steps" in fields:
        fields["steps"] = steps(rows=len(logits), **fields["steps"])
    return Case(logits=np.array(logits, np.float32), parameters=parameters, regime="normal", strategy="ordinary", **fields)


def steps(rows: int, logits: Any, choices: Any = None, u: Any = None, replay: str = "") -> Steps:
    """Return the steps after the first; without `choices` the first token with probability is taken."""
    return Steps(
        logits=np.array(logits, np.float32),
        choices=np.zeros((len(logits) + 1, rows)) if choices is None else np.array(choices, np.float64),
        u=None if u is None else np.array(u, np.float64),
        replay=replay,
    )


def finding(
    of: Case,
    *,
    expected: dict[str, Any],
    observed: dict[str, Any],
    target: str = "samplers.py:mine",
    order: tuple[str, ...] = ("top_p",),
    returns: str = "logits",
    per_row: bool = False,
    stateful: bool = False,
    id: str = "ab12cd34ef",
    **violation: Any,
) -> Finding:
    """Return a finding on case `of`."""
    fields = {"check": "kept_token_has_probability", "severity": "high", "row": 0, "title": "token 1 must stay and has no probability"}
    return Finding(
        id=id,
        violation=Violation(**{**fields, **violation}, expected=expected, observed=observed),
        case=of,
        target=target,
        order=order,
        returns=returns,
        per_row=per_row,
        order_was_assumed=False,
        stateful=stateful,
        seconds=1.25,
        cases=321,
    )


def crossing_token(**changes: Any) -> Finding:
    """Return the plainest finding: top-p that drops the token which crosses the threshold."""
    return finding(
        case([[0.0, 0.1]], parameters={"top_p": [0.7]}),
        expected={"must": [0, 1], "may": [], "never": [], "least": 2},
        observed={"outcome": "value", "kept": [1], "probabilities": [0.0, 1.0]},
        **changes,
    )


def run_events(
    *findings: Finding, status: int = 1, reason: str = "1 finding at or above medium", target: str = "samplers.py:mine"
) -> list[Event]:
    """Return the events of a short run against one target."""
    done = TargetFinished(
        target=target,
        seconds=2.0,
        calls=40,
        pairs=1234,
        draws=0,
        outcomes={"pass": 1200, "refused": 33, "finding": len(findings)},
        checks={"kept_token_has_probability": 1201, "call_returns": 1234},
        covered={"normal": 1000, "tied": 201},
        skipped={"draw_frequencies_match": "not applicable to what this target takes and returns"},
        findings=findings,
    )
    return [
        RunStarted(targets=(target,), settings={"seed": 7, "max_time": 2.0, "alpha": 1e-6, "checks": ["a", "b"], "nothing": float("nan")}),
        TargetStarted(target=target, order=("top_p",), returns="logits", order_was_assumed=False, seconds_planned=2.0),
        Progress(target=target, phase="fuzzing", seconds=1.0, seconds_planned=2.0, calls=20, pairs=600, draws=0, findings=0),
        *(FindingFound(finding=f) for f in findings),
        done,
        RunFinished(status=status, reason=reason, seconds=2.1, findings=findings, alpha_spent=0.0),
    ]
