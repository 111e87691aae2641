"""What is claimed of a decision and of a validator's results, each held against the judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from samplerfuzz.core.registry import parameter
from samplerfuzz.safety.fuzzing.judge import ENDLESS, IMPOSSIBLE, INSIDE, OUTSIDE, Judge, exact
from samplerfuzz.safety.names import canonical
from samplerfuzz.safety.policy import ACCEPT, DECISIONS, Decision
from samplerfuzz.safety.results import SEVERITIES, Result
from samplerfuzz.safety.shown import shown

CLAIMS: Mapping[str, str] = {
    "no_crash": "No configuration makes it raise.",
    "well_formed": "What it answers is of the promised shape, and JSON.",
    "nothing_outside_passes": "What the policy does not allow is not forwarded, NaN among it.",
    "nothing_inside_is_refused": "What the policy allows is neither refused nor changed.",
    "clamped_is_inside": "A changed value is the end of its range that is nearest.",
    "outside_is_said": "A result of at least medium severity names every parameter outside its range.",
    "inside_is_not_accused": "No result of medium severity or above names a parameter within its range.",
    "idempotent": "What is forwarded is accepted as it is.",
}
OF_DECISIONS = tuple(claim for claim in CLAIMS if claim != "inside_is_not_accused")
OF_BEARING = ("no_crash", "well_formed")
OF_RESULTS = (*OF_BEARING, "outside_is_said", "inside_is_not_accused")
Broken = tuple[str, str]  # claim, what was expected and what came


def decision_claims(judge: Judge, decide: Callable[[Mapping[Any, Any]], Decision], config: Mapping[Any, Any]) -> Iterator[Broken]:
    """Yield the claims that a decision on `config` breaks."""
    before = dict(config)
    try:
        decision = decide(config)
    except Exception as error:
        yield "no_crash", f"{type(error).__name__}: {error}"[:300]
        return
    if decision.action not in DECISIONS or not isinstance(decision.config, dict):
        yield "well_formed", f"action {decision.action!r}"
        return
    yield from _malformed(decision.results)
    if list(before) != list(config) or any(before[key] is not config[key] for key in before):
        yield "well_formed", "the configuration given was changed"
    verdicts = judge.verdicts(config)
    refusable = judge.strangers(config) if judge.policy.unknown == "reject" else []
    if decision.action == "reject":
        if not refusable and not any(_may_be_refused(judge, called, verdict) for called, verdict in verdicts.items()):
            yield "nothing_inside_is_refused", "rejected, and every parameter is allowed"
        return
    if refusable:
        yield "nothing_outside_passes", f"the field {shown(refusable[0])}, which nobody knows, was not rejected"
    yield from _forwarded(judge, config, verdicts, decision)
    yield from _idempotent(decide, decision)


def result_claims(
    judge: Judge,
    check: Callable[[Mapping[Any, Any]], Iterable[Result]],
    config: Mapping[Any, Any],
    *,
    only: str | None,
    accuses: bool = True,
) -> Iterator[Broken]:
    """Yield the claims that the results of a validator on `config` break.

    Args:
      only: the one parameter that the validator answers for; None: all.
      accuses: whether it answers for parameters at all; of another, only that it bears what comes is claimed.
    """
    try:
        results = tuple(check(config))
    except Exception as error:
        yield "no_crash", f"{type(error).__name__}: {error}"[:300]
        return
    malformed = list(_malformed(results))
    yield from malformed
    if malformed or not accuses:
        return
    accused = {result.parameter for result in results if SEVERITIES.index(result.severity) >= SEVERITIES.index("medium")}
    for called, verdict in judge.verdicts(config).items():
        name = canonical(called)
        if only is not None and name != only:
            continue
        if verdict != INSIDE and called not in accused:
            yield "outside_is_said", f"{called}={shown(config[called])} is {verdict}, and no result says so"
        # what an engine makes of a value, and lists that leave no token, are said of parameters within their range
        is_judged = name is not None and parameter(name).kind != "ids" and judge.policy.dialect is None
        if verdict == INSIDE and called in accused and is_judged:
            yield "inside_is_not_accused", f"{called}={shown(config[called])} is within its range, and is accused"


def _malformed(results: Iterable[Result]) -> Iterator[Broken]:
    for result in results:
        try:
            json.dumps(result.to_json(), allow_nan=False).encode("ascii")
            result.message.encode("utf-8")
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            yield "well_formed", f"a result that is no JSON: {type(error).__name__}: {error}"[:300]
            return
        if result.severity not in SEVERITIES:
            yield "well_formed", f"the severity {result.severity!r}"
            return


def _may_be_refused(judge: Judge, called: Any, verdict: str) -> bool:
    name = canonical(called)
    action = "reject" if name is None or parameter(name).kind == "ids" else judge.bound(name).action
    if verdict == IMPOSSIBLE:
        return True
    return (verdict == OUTSIDE and action == "reject") or (verdict == ENDLESS and action != "clamp")


def _forwarded(judge: Judge, config: Mapping[Any, Any], verdicts: Mapping[Any, str], decision: Decision) -> Iterator[Broken]:
    said = {result.parameter for result in decision.results if SEVERITIES.index(result.severity) >= SEVERITIES.index("medium")}
    for called, value in decision.config.items():
        if not judge.lets_pass(called, value):
            yield "nothing_outside_passes", f"{shown(called)}={shown(value)} is {judge.verdict(called, value)}, and was forwarded"
    for called, verdict in verdicts.items():
        if called not in decision.config:
            yield "nothing_inside_is_refused", f"{shown(called)} was not forwarded"
            continue
        forwarded = decision.config[called]
        if verdict == INSIDE and forwarded is not config[called]:
            yield "nothing_inside_is_refused", f"{shown(called)}={shown(config[called])} was forwarded as {shown(forwarded)}"
        if verdict in (OUTSIDE, ENDLESS) and forwarded is not config[called]:
            yield from _nearest(judge, called, config[called], forwarded)
        if verdict != INSIDE and judge.lets_pass(called, forwarded) and (called not in said or decision.action == ACCEPT):
            yield "outside_is_said", f"{shown(called)}={shown(config[called])} is {verdict}; {decision.action}, and no result says so"


def _nearest(judge: Judge, called: Any, value: Any, forwarded: Any) -> Iterator[Broken]:
    if judge.verdict(called, forwarded) != INSIDE:
        yield "clamped_is_inside", f"{called}={shown(value)} was changed to {shown(forwarded)}, which is outside"
        return
    name = canonical(called)
    if name is None or not parameter(name).is_number:
        return
    bound, number = judge.bound(name), exact(value)
    is_low = number == "-Infinity" if isinstance(number, str) else number < Fraction(bound.minimum)
    if exact(forwarded) != Fraction(bound.minimum if is_low else bound.maximum):
        yield (
            "clamped_is_inside",
            f"{called}={shown(value)} was changed to {shown(forwarded)}, which is not the nearest end of {bound.text()}",
        )


def _idempotent(decide: Callable[[Mapping[Any, Any]], Decision], decision: Decision) -> Iterator[Broken]:
    again = decide(decision.config)
    if again.action not in (ACCEPT, "flag") or list(again.config) != list(decision.config):
        yield "idempotent", f"what was forwarded is answered with {again.action}"
    elif any(again.config[key] is not decision.config[key] for key in again.config):
        yield "idempotent", "what was forwarded is forwarded as something else"
