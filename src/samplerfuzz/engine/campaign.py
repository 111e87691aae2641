"""A campaign against one target: generate, run, judge, confirm, shrink, until the time is spent."""

from __future__ import annotations

import itertools
import time
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

import numpy as np

from samplerfuzz.cases import Case, Generator
from samplerfuzz.cases.steps import scenario
from samplerfuzz.checks.finding import Finding, Violation, fingerprint
from samplerfuzz.checks.frequencies import is_telling, plain_law
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import Check
from samplerfuzz.core.seeding import stream
from samplerfuzz.engine.confirm import seen_again
from samplerfuzz.engine.counted import Counted
from samplerfuzz.engine.events import (
    BehaviourMet,
    Checkpoint,
    FindingConfirmed,
    FindingFound,
    Listener,
    Progress,
    TargetFinished,
    TargetStarted,
)
from samplerfuzz.engine.history import TargetHistory
from samplerfuzz.engine.novelty import Novelty
from samplerfuzz.engine.pace import LARGE, Pace
from samplerfuzz.engine.tally import Tally
from samplerfuzz.targets.target import Outcome, Target

SIZES = (1, 2, 3, 4, 5, 6, 8, 8, 16, 16, 31, 32, 32, 33, 64)

_DRAWN_SIZES = (2, 3, 4, 5, 8, 8, 12, 16)
# many unlikely tokens that together are as likely as the best one: noise of few bits shows there and nowhere else
_TAIL = 1000
_PATIENCE = 8.0  # seconds without a new finding after the last one, after which another is not waited for
_KEPT = 64  # tokens: a larger case is not kept for other runs


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a campaign may use.

    Attributes:
      seconds: time for the target.
      cases: (row, configuration) pairs, or None.
      shrink: whether findings are shrunk.
      sizes: vocabulary sizes thrown. large: those thrown now and then.
      batch: largest number of rows of a call.
    """

    seconds: float
    cases: int | None = None
    shrink: bool = True
    sizes: tuple[int, ...] = SIZES
    large: tuple[int, ...] = LARGE
    batch: int = 4096


class Campaign:
    """Fuzz one target with a list of checks.

    A campaign that goes on in a new process keeps findings, counts and time, and takes a fresh stream of cases: batch sizes
    adapt to the speed of the target, so the old stream cannot be repeated up to the point where it broke off.

    Args:
      target: what is tested.
      checks: those that apply and were not excluded.
      skipped: check id -> why it is not used.
      seed: of the run.
      limits: time and size.
      listener: gets the events.
      real_rows: [N, V] logits of a real model, or None.
      past: what earlier processes did to the target, or None.
      accepted: ids of known findings: they end no campaign early.
      corpus: cases that showed something in earlier runs; thrown after the opening sweep.
      shard: which part of the target's work this is; each has a stream of its own, and the first does the opening sweep.
    """

    def __init__(
        self,
        target: Target,
        *,
        checks: Iterable[Check],
        skipped: dict[str, str],
        seed: int,
        limits: Limits,
        listener: Listener,
        real_rows: np.ndarray | None = None,
        past: TargetHistory | None = None,
        accepted: Container[str] = (),
        shard: int = 0,
        corpus: Iterable[Case] = (),
    ) -> None:
        last = past.checkpoint if past else None
        self.spec = target.spec
        # one configuration a call: more rows of it tell little
        self._pace = Pace(sizes=limits.sizes, large=limits.large, most_rows=limits.batch if self.spec.per_row else min(256, limits.batch))
        self.target = Counted(target, last.calls if last else 0, self._pace)
        self.judges = [c for c in checks if c.judge is not None]
        self.probes = [c for c in checks if c.probe is not None]
        self.skipped, self.seed, self.limits, self.listener = skipped, seed, limits, listener
        self._accepted = accepted
        self.generator = Generator(
            parameters=self.spec.parameters,
            inputs=self.spec.inputs,
            per_row=self.spec.per_row,
            law=lambda case: plain_law(self.spec, case),
            real_rows=real_rows,
        )
        self.findings: dict[str, Finding] = {f.id: f for f in past.findings} if past else {}
        self.tally = Tally.of(last) if last else Tally()
        # confirmed findings that no listener has heard of as found
        self._unannounced: dict[str, Finding] = {f.id: f for f in past.confirmed} if past else {}
        self._begun = time.monotonic() - (last.seconds if last else 0.0)
        self._last_progress = self._last_checkpoint = 0.0
        self._last_new = max((f.seconds for f in self.findings.values()), default=0.0)
        resumed = past.times_resumed + 1 if past else 0
        self._stream = ("campaign", self.spec.locator, *([resumed] if resumed or shard else []), *([shard] if shard else []))
        self._novelty = Novelty(self.spec.parameters, past.cells if past else ())
        self._swept = last.swept if last else 0
        opening = itertools.chain(self.generator.sweep(stream(seed, "sweep", self.spec.locator)), corpus) if shard == 0 else iter(())
        self._sweep = itertools.islice(opening, self._swept, None)

    def run(self) -> TargetFinished:
        """Fuzz until the time or the cases are spent, or nothing new has come for long after a finding."""
        self.listener(
            TargetStarted(
                target=self.spec.locator,
                order=self.spec.order,
                returns=self.spec.returns or "logits or tokens",
                order_was_assumed=self.spec.order_was_assumed,
                seconds_planned=self.limits.seconds,
            )
        )
        for finding in list(self._unannounced.values()):
            check = next((c for c in (*self.judges, *self.probes) if c.id == finding.violation.check), None)
            self._announce(self._shrunk(check, finding) if check else finding)
        rng = stream(self.seed, *self._stream)
        # turns are by time: a cheap probe comes often, and what counts frequencies or follows steps gets the most of it
        had = {check.id: 0.0 for check in self.probes}
        weight = {check.id: 3.0 if check.kind in ("draws", "uniforms", "state") else 1.0 for check in self.probes}
        # where no check judges single rows, rows are run only to see what is answered
        share = 20.0 if not self.judges else 1.0 if self.spec.draws or self.spec.stateful else 0.2
        probing = judging = 0.0
        while not self._is_over():
            before = time.monotonic()
            if had and probing < judging * share:
                probe = min(self.probes, key=lambda check: had[check.id] / weight[check.id])
                self._probe(probe, rng)
                took = time.monotonic() - before
                had[probe.id] += took
                probing += took
            else:
                self._judge(rng)
                judging += time.monotonic() - before
            self._report("fuzzing")
        self._report("done", force=True)
        self._checkpoint()
        return self._summary(complete=True)

    def interrupted(self) -> TargetFinished:
        """Announce what was confirmed and not yet shrunk, and return the summary so far."""
        for key, finding in list(self._unannounced.items()):
            self._announce(self.findings.get(key, finding))
        self._checkpoint()
        return self._summary(complete=False)

    def _is_over(self) -> bool:
        elapsed = self._elapsed()
        # whoever has something to repair need not wait for the rest of the time; what is merely untidy hides nothing worse
        telling = any(name not in self._accepted and f.violation.severity != "low" for name, f in self.findings.items())
        quiet = telling and elapsed - self._last_new > max(_PATIENCE, 2 * self._last_new, 0.1 * self.limits.seconds)
        enough = self.limits.cases is not None and self.tally.pairs >= self.limits.cases
        # a share too short for a first verdict (a slow first compile) is stretched, or the run would say nothing
        share = (
            self.limits.seconds
            if self.tally.outcomes["pass"] or self.findings
            else max(self.limits.seconds, min(20.0, 5 * self.limits.seconds))
        )
        return elapsed >= share or enough or quiet

    def _judge(self, rng: np.random.Generator) -> None:
        begun = time.monotonic()
        case = next(self._sweep, None)
        if case is None:
            rows, size = self._pace.shape(rng, self._elapsed())
            case = self.generator.case(rng, rows=rows, size=size, strategy=self._novelty.strategy(rng))
        else:
            self._swept += 1
        outcome = self.target.run(case)
        judgement = Judgement(self.spec, case, outcome)
        wrong = 0
        for check in self.judges:
            for violation in check.judge(check, judgement):  # type: ignore[misc]
                wrong += 1
                self._found(check, violation, case)
        if not wrong:
            self._pace.took(case.rows, case.vocabulary, time.monotonic() - begun)
        for row in self._novelty.saw(judgement, self._elapsed()):
            if case.vocabulary <= _KEPT:
                self.listener(BehaviourMet(target=self.spec.locator, case=case.take([row])))
        self.tally.count(judgement, wrong, (check.id for check in self.judges))

    def _probe(self, check: Check, rng: np.random.Generator) -> None:
        case = self._probed_case(check, rng)
        rows = self.target.rows
        self.target.take_end()
        found = check.examine(self.target, case)
        end = self.target.take_end()
        self.tally.checks[check.id] += self.target.rows - rows
        for violation in found:
            self._found(check, violation, case)
        if end is not None:
            # a probe looks at values: that one of its calls ended the process, or did not end, is for the judges to say
            call, outcome = end
            for judge in self.judges:
                for violation in judge.judge(judge, Judgement(self.spec, call, outcome)):  # type: ignore[misc]
                    self._found(judge, violation, call)

    def _probed_case(self, check: Check, rng: np.random.Generator) -> Case:
        if check.kind == "state":
            case = scenario(self.generator, rng)
            return case.take([0]) if check.one_row else case
        if check.kind in ("draws", "uniforms"):
            return self._telling_row(rng, tails=check.kind == "draws")
        # relations between two answers are looked at in bulk; where rows are run one by one a few say as much
        return self._some_rows(rng, *(self._pace.shape(rng, self._elapsed()) if check.kind == "metamorphic" else self._pace.few(rng)))

    def _telling_row(self, rng: np.random.Generator, *, tails: bool) -> Case:
        """Return one row whose law is known and says much: of few tokens or, with `tails`, now and then of many unlikely ones."""
        for attempt in range(12):
            tail = tails and rng.random() < 0.12
            case = self.generator.case(
                rng,
                rows=1,
                size=_TAIL if tail else self._pace.drawn_from(rng, _DRAWN_SIZES, self._elapsed()),
                strategy="neutral" if rng.random() < (0.7 if tail else 0.2) else str(rng.choice(["ordinary", "beside threshold"])),
                regime="long tail" if tail else str(rng.choice(["normal", "two-humped", "flat", "dyadic", "negative"])),
            ).take([0])
            # now and then any row will do: a draw may also go wrong where there is no choice
            if (attempt == 0 and rng.random() < 0.1) or is_telling(self.spec, case):
                break
        return case

    def _some_rows(self, rng: np.random.Generator, rows: int, size: int) -> Case:
        return self.generator.case(
            rng,
            rows=rows,
            size=size,
            strategy=str(rng.choice(["ordinary", "beside threshold", "edge", "poison"])),
        )

    def _found(self, check: Check, violation: Violation, case: Case) -> None:
        key = self._fingerprint(check, violation, case)
        # what already shows on legal input need not be told again on extreme input
        known = next((k for k in (key, self._key(check, legal=True)) if k in self.findings), None)
        if known is not None:
            self.findings[known] = self.findings[known].repeated()
            return
        if not seen_again(check, self.target, case):
            self.tally.outcomes["unconfirmed"] += 1
            return
        finding = Finding.of(self.spec, violation, case, id=key, seconds=self._elapsed(), cases=self.tally.pairs)
        self._unannounced[key] = finding
        if self._is_shrinkable(check, violation):
            self.listener(FindingConfirmed(finding=finding))
            finding = self._shrunk(check, finding)
        self._announce(finding)

    def _announce(self, finding: Finding) -> None:
        finding = replace(finding, seconds=self._elapsed(), cases=self.tally.pairs)
        self.findings[finding.id] = finding
        self._unannounced.pop(finding.id, None)
        self._last_new = finding.seconds
        self.listener(FindingFound(finding=finding))
        self._checkpoint()

    def _is_shrinkable(self, check: Check, violation: Violation) -> bool:
        # evidence that was gathered over many draws is not gathered again for every candidate
        return self.limits.shrink and check.kind not in ("draws", "seeds") and "log_e" not in violation.statistic

    def _shrunk(self, check: Check, finding: Finding) -> Finding:
        from samplerfuzz.engine.shrink import EFFORT, Effort, shrink

        # an answer that changes from call to call may be right the next time: what a case showed once is kept
        shown: dict[str, Violation] = {}

        def shows(case: Case) -> bool:
            for violation in check.examine(self.target, case):
                if self._fingerprint(check, violation, case) == finding.id:
                    shown[case.digest()] = violation
                    return True
            return False

        if not self._is_shrinkable(check, finding.violation):
            return finding
        effort = EFFORT.get(check.id, Effort())
        case = shrink(finding.case, shows, seconds=effort.seconds, calls=effort.calls)
        shows(case)
        return replace(finding, case=case, violation=shown.get(case.digest(), finding.violation))

    def _fingerprint(self, check: Check, violation: Violation, case: Case) -> str:
        """Return check, target and regime as a short hash: legal input and extreme input are two findings, two rows are not."""
        finite = case.with_(logits=np.where(np.isneginf(case.logits), np.float32(-50), case.logits))
        legal = bool(Judgement(self.spec, finite, Outcome(kind="raised")).legal[violation.row])
        return self._key(check, legal=legal)

    def _key(self, check: Check, *, legal: bool) -> str:
        return fingerprint(check.id, self.spec.locator, legal=legal)

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    def _report(self, phase: str, *, force: bool = False) -> None:
        now = self._elapsed()
        if now - self._last_checkpoint >= 1.0:
            self._checkpoint()
        if not force and now - self._last_progress < 0.2:
            return
        self._last_progress = now
        self.listener(
            Progress(
                target=self.spec.locator,
                phase=phase,
                seconds=now,
                seconds_planned=self.limits.seconds,
                calls=self.target.calls,
                pairs=self.tally.pairs,
                draws=self._draws(),
                findings=len(self.findings),
            )
        )

    def _draws(self) -> int:
        return sum(self.tally.checks[c.id] for c in self.probes if c.kind in ("draws", "uniforms"))

    def _checkpoint(self) -> None:
        self._last_checkpoint = self._elapsed()
        self.listener(
            Checkpoint(
                target=self.spec.locator,
                seconds=self._last_checkpoint,
                calls=self.target.calls,
                pairs=self.tally.pairs,
                draws=self._draws(),
                outcomes=self.tally.seen(),
                checks=dict(self.tally.checks),
                covered=dict(self.tally.covered),
                repeats={f.id: f.repeats for f in self.findings.values()},
                swept=self._swept,
                cells=self._novelty.fresh(),
            )
        )

    def _summary(self, *, complete: bool) -> TargetFinished:
        return TargetFinished(
            target=self.spec.locator,
            seconds=self._elapsed(),
            calls=self.target.calls,
            pairs=self.tally.pairs,
            draws=self._draws(),
            outcomes=self.tally.seen(),
            checks=dict(self.tally.checks),
            covered=dict(self.tally.covered),
            skipped=self.skipped,
            findings=tuple(self.findings.values()),
            strategies=self._novelty.yields(),
            matrix=self._novelty.matrix(),
            cells=len(self._novelty.cells),
            last_new=self._novelty.last_new,
            complete=complete,
        )
