"""The random numbers of a stream: each step draws anew, and from the law that its past gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.steps import STEADY, led, steady
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.frequencies import dependent_pairs, laws_of_row, off_frequency
from samplerfuzz.checks.registry import Check, probe
from samplerfuzz.checks.steps import judgements
from samplerfuzz.core.seeding import stream
from samplerfuzz.stats import log_e_independence, log_e_value
from samplerfuzz.targets.target import Outcome, Target

_ROWS = 32
_CALLS, _MORE = 3, 100
_PROMISING = 1.0


@probe("high", "state", applies=lambda spec: spec.stateful and (spec.returns == "tokens" or spec.tosses), one_row=True)
def steps_draw_independently(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """What one step of a stream draws tells nothing of what another draws from the same distribution. A counter left where it began draws with the
    same noise at every step; seeds that are counted up through one step of a weak generator draw the same rank for a whole text; a coin that
    is tossed at reset only falls the same way all along. Pairs of steps, one and ten apart, are tested by an e-process."""
    row = steady(case, target.spec.order)
    size = row.vocabulary
    if size < 2:
        return
    budget = self.run_budget()
    near, far = budget.next_threshold(), budget.next_threshold()
    rng = stream(int(row.seeds[0]) if row.seeds is not None else 0, "steps", row.logits.tobytes())
    counts = {"neighbouring": np.zeros(size * size), "distant": np.zeros(size * size)}
    evidence = 0.0
    for call in range(_MORE):
        if call >= _CALLS and evidence < _PROMISING:
            return
        outcome = target.run(_many(row, rng, per_row=target.spec.per_row))
        tokens = np.stack(outcome.tokens or [np.array([-1])])
        if len(tokens) < STEADY or (tokens < 0).any():
            return
        evidence = 0.0
        for (what, table), first, second, threshold in zip(
            counts.items(), (tokens[::2], tokens[: STEADY // 2]), (tokens[1::2], tokens[STEADY // 2 :]), (near, far), strict=True
        ):
            table += np.bincount((first * size + second).ravel(), minlength=size * size)
            found = log_e_independence(table.reshape(size, size))
            evidence = max(evidence, found)
            if found > threshold:
                yield dependent_pairs(
                    self,
                    table.reshape(size, size),
                    np.arange(size),
                    what=f"{what} steps",
                    protocol=f"pairs of {what} steps",
                    evidence=found,
                    threshold=threshold,
                )
                return


@probe("medium", "state", applies=lambda spec: spec.stateful and spec.draws and not spec.tosses, one_row=True)
def draws_after_steps_match(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """After the same tokens, each token is drawn as often as the definition says for a text that has them: likely tokens lead many streams along one
    path, and what they draw next is counted. It sees a state that removes nothing and weighs wrongly, by an e-process as for single draws."""
    row, path = led(case)
    assert row.steps is not None
    count = row.steps.count
    answered = Outcome(kind="value", form="tokens", value=np.zeros(1, np.int64))
    taken = [np.array([token]) for token in path]
    laws = laws_of_row(judgements(target.spec, row, [answered] * count, [*taken, np.zeros(1, np.int64)])[-1])
    if laws is None or any(law.low.max() > 0.98 or law.high.sum() > 1.2 for law in laws):
        return
    budget = self.run_budget()
    threshold = budget.next_threshold()
    rng = stream(int(row.seeds[0]) if row.seeds is not None else 0, "after steps", row.logits.tobytes())
    counts = np.zeros(row.vocabulary)
    evidence = 0.0
    for call in range(_MORE):
        if call >= _CALLS and evidence < _PROMISING:
            return
        outcome = target.run(_many(row, rng, per_row=target.spec.per_row, rows=128))
        tokens = np.stack(outcome.tokens or [np.array([-1])])
        if len(tokens) < count or (tokens < 0).any():
            return
        following = (tokens[:-1] == np.array(path)[:, None]).all(0)
        counts += np.bincount(tokens[-1][following], minlength=row.vocabulary)
        evidence = min(log_e_value(counts, law.low, law.high) for law in laws)
        if evidence > threshold:
            yield off_frequency(
                self,
                counts,
                laws[0],
                evidence=evidence,
                threshold=threshold,
                protocol="led",
                after=f"after tokens {', '.join(map(str, path))}, ",
                expected={"path": list(path)},
                observed={"step": count - 1},
            )
            return


def _many(row: Case, rng: np.random.Generator, *, per_row: bool, rows: int = _ROWS) -> Case:
    """Return a case of one row many times over, with seeds, uniforms and choices drawn anew."""
    many = row.take(np.zeros(rows, np.int64))
    assert many.steps is not None
    steps = replace(many.steps, choices=rng.random(many.steps.choices.shape))
    if many.u is not None and steps.u is not None:
        many, steps = many.with_(u=rng.random(rows)), replace(steps, u=rng.random(steps.u.shape))
    if many.seeds is not None:
        seeds = rng.integers(0, 2**31, rows)
        many = many.with_(seeds=seeds if per_row else np.repeat(seeds[:1], rows))
    return many.with_(steps=steps)
