"""How a reproducer asserts a finding: one template for each kind of defect, and the numbers it is given."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from samplerfuzz.cases.before import neutral_values
from samplerfuzz.cases.steps import STEADY
from samplerfuzz.checks.finding import Finding
from samplerfuzz.report.text import json_ready

_RELATIONS = {
    "permuting_the_vocabulary_permutes_the_answer": "relation_permuting",
    "shifting_the_logits_changes_nothing": "relation_shifting",
    "masked_columns_change_nothing": "relation_masked",
}
_SEEDS = {
    "different_seeds_give_different_draws": "seeds_repeat",
    "rows_draw_independently": "seeds_rows",
    "calls_draw_independently": "seeds_calls",
}
_STEPS = {
    "clone": "steps_clone",
    "replay": "steps_replay",
    "pairs of neighbouring steps": "steps_pairs",
    "pairs of distant steps": "steps_pairs",
    "led": "steps_led",
}
_OUTCOMES = {"hang": "ends", "crash": "ends", "raised": "raised", "malformed": "malformed", "NaN row": "nan_row"}
_LISTED = 64
_HANG_SECONDS, _LEAST_DRAWS, _MOST_DRAWS = 10.0, 20_000, 200_000


@dataclass(frozen=True, kw_only=True)
class Assertion:
    """A template of `templates/reproducer/` and the constants it reads."""

    template: str
    constants: dict[str, Any] = field(default_factory=dict)


def assertion(finding: Finding) -> Assertion:
    """Return how a finding is asserted."""
    v = finding.violation
    expected, observed = v.expected, v.observed
    if v.protocol in ("draws", "grid") and "low" in expected:
        return _frequencies(finding)
    if v.protocol in ("pairs of seeds", "pairs of rows"):
        pairs = min(max(4 * int(v.statistic.get("n", 0)), 2_000), 20_000)
        return Assertion(template="pairs", constants={"PAIRS": pairs, "OVER": v.protocol.rpartition(" ")[2]})
    if v.protocol in _STEPS and observed.get("outcome") not in _OUTCOMES:
        return _steps(finding)
    if v.protocol == "alone":
        return _alone(finding)
    if v.protocol == "after another":
        one, other = (_numbers(observed[key].get("probabilities", [])) for key in ("after another", "again"))
        half = _half_of_the_difference(one, np.where(other > 0, other, one))
        return Assertion(template="after_another", constants={"NEUTRAL": neutral_values(finding.case), "TOLERANCE": half})
    if v.protocol == "repeat":
        return Assertion(template="repeat")
    if v.protocol == "relation" and v.check in _RELATIONS:
        return Assertion(template=_RELATIONS[v.check], constants={"TOKEN": observed["token"]})
    if v.protocol == "seeds" and v.check in _SEEDS:
        return Assertion(template=_SEEDS[v.check], constants={"SEEDS": observed["seeds"]} if "seeds" in observed else {})
    if observed.get("outcome") in _OUTCOMES:
        template = _OUTCOMES[observed["outcome"]]
        return Assertion(template=template, constants={"LIMIT": _limit(str(observed.get("message", "")))} if template == "ends" else {})
    if "mutated" in observed:
        return Assertion(template="input_changed")
    if expected.get("outcome") == "refusal or NaN":
        return Assertion(template="clean_answer")
    if "range" in expected:
        return Assertion(template="token_range")
    if "probabilities" in expected and "probabilities" in observed:
        tolerance = _half_of_the_difference(_numbers(observed["probabilities"]), _numbers(expected["probabilities"]))
        low = expected.get("low")
        must = [token for token in expected.get("must", []) if low is None or low[token] > 1e-30]
        constants = {"PROBABILITIES": expected["probabilities"], "MUST": must, "MAY": expected.get("may", []), "TOLERANCE": tolerance}
        return Assertion(template="probability", constants=constants)
    if "token" in observed and ("never" in expected or "must" in expected):
        return Assertion(template="token_sets", constants={"NEVER": _never(finding)})
    if "kept" in observed and ("never" in expected or "must" in expected):
        counts = {"LEAST": max(1, int(expected.get("least", 1))), "MOST": int(expected.get("most", finding.case.vocabulary))}
        constants = {"MUST": expected.get("must", []), "NEVER": _never(finding), **counts}
        return Assertion(template="kept_sets", constants=constants)
    return Assertion(template="same_answer", constants={"EXPECTED": json_ready(expected), "OBSERVED": json_ready(observed)})


def _limit(message: str) -> float:
    """Return the seconds that the message of a hang speaks of; a crash takes less."""
    named = re.search(r"within ([0-9.e+]+) s", message)
    return float(named.group(1)) if named else _HANG_SECONDS


def _frequencies(finding: Finding) -> Assertion:
    v = finding.violation
    n = int(v.statistic.get("n", 0))
    bounds = {"LOW": v.expected["low"], "HIGH": v.expected["high"]}
    if v.protocol == "grid":
        return Assertion(template="grid", constants={**bounds, "GRID": n or 16384})
    # the search stopped as soon as it was sure; a fixed number of draws needs some more to be as sure
    return Assertion(template="draws", constants={**bounds, "DRAWS": min(max(8 * n, _LEAST_DRAWS), _MOST_DRAWS)})


def _alone(finding: Finding) -> Assertion:
    observed = finding.violation.observed
    batch = observed.get("batch", observed)
    alone = observed.get("alone") or finding.violation.expected.get("alone") or {}
    if finding.returns == "tokens":
        return (
            Assertion(template="alone_tokens")
            if finding.case.steps is None
            else Assertion(template="steps_alone", constants={"TOLERANCE": 0.0})
        )
    one, other = _numbers(batch.get("probabilities", [])), _numbers(alone.get("probabilities", []))
    half = _half_of_the_difference(one, np.where(other > 0, other, one))
    return Assertion(template="alone" if finding.case.steps is None else "steps_alone", constants={"TOLERANCE": half})


def _steps(finding: Finding) -> Assertion:
    v = finding.violation
    n = int(v.statistic.get("n", 0))
    constants: dict[str, Any] = {}
    if v.protocol == "led":
        constants = {
            "PATH": v.expected["path"],
            "LOW": v.expected["low"],
            "HIGH": v.expected["high"],
            "DRAWS": min(max(8 * n, 2_000), _LEAST_DRAWS),
        }
    if v.protocol.startswith("pairs"):
        constants = {"PAIRS": min(max(4 * n, 2_000), 20_000), "APART": 1 if "neighbouring" in v.protocol else STEADY // 2}
    return Assertion(template=_STEPS[v.protocol], constants=constants)


def _half_of_the_difference(got: np.ndarray, right: np.ndarray) -> float:
    """Return half of the largest relative difference seen: a repaired function is far below, the defect above."""
    if got.shape != right.shape or not got.size:
        return 1e-4
    with np.errstate(all="ignore"):
        relative = np.abs(got - right) / np.where(right > 0, right, np.inf)
    finite = relative[np.isfinite(relative)]
    worst = float(finite.max()) if finite.size else 0.0
    return float(f"{min(worst, 1.0) / 2:.3g}") if worst > 0 else 1e-4


def _numbers(values: Any) -> np.ndarray:
    return np.array([np.nan if x is None else float(x) for x in values], np.float64)


def _never(finding: Finding) -> list[int]:
    """Return the tokens that must not occur; the listed sets are cut at 64 ids, so complete them where that is possible."""
    expected, observed = finding.violation.expected, finding.violation.observed
    never = list(expected.get("never", []))
    fair = [*expected.get("must", []), *expected.get("may", [])]
    if len(never) >= _LISTED and len(expected.get("must", [])) < _LISTED and len(expected.get("may", [])) < _LISTED:
        return [token for token in range(finding.case.vocabulary) if token not in fair]
    token = observed.get("token")
    if token is not None and token not in never:
        never.append(token)
    return never
