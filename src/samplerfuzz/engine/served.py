"""A campaign against a server: send trials, judge the replies, ask again, until the time is spent."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Finding, Violation, fingerprint
from samplerfuzz.checks.http.claims import Claim
from samplerfuzz.checks.http.trial import Suspicion, Trial, general
from samplerfuzz.engine.events import Checkpoint, FindingFound, Listener, Progress, TargetFinished, TargetStarted
from samplerfuzz.targets.http.exchange import Reply, Request
from samplerfuzz.targets.target import TargetSpec

ALIVE = Request(path="/v1/models")
_OUTCOMES = {"hang": "hang", "gone": "crash", "dropped": "crash", "failed": "raised", "refusal": "raised"}
_UNSTUCK = 3  # times the time limit that a server has to answer an ordinary request again
_SLOW = 0.25  # of the time limit: an ordinary request that takes longer says that the server is slow, and not that it hangs


class Sender(Protocol):
    """What sends requests: see `targets.http.client.Client`."""

    seconds: float
    at_once: int
    sent: int

    def send(self, request: Request) -> Reply:
        """Send one request."""
        ...


class ServedCampaign:
    """Try a server.

    Args:
      sender: sends to it.
      spec: what it is and promises.
      claims: those that are tested.
      ordinary: a request that is answered, to tell a hang from a slow server.
      seconds: time for it.
      cases: trials after which it ends, or None.
      listener: gets the events.
      check: called between trials; raises where the run is to stop.
      restart: starts a server that has ended anew, and says whether it answers again.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        spec: TargetSpec,
        claims: Collection[Claim],
        ordinary: Request,
        seconds: float,
        cases: int | None = None,
        listener: Listener,
        check: Callable[[], None] = lambda: None,
        restart: Callable[[], bool] = lambda: False,
    ) -> None:
        self.sender, self.spec, self.ordinary, self.seconds, self.listener = sender, spec, ordinary, seconds, listener
        self.claims = {claim.id: claim for claim in claims}
        self.findings: dict[str, Finding] = {}
        self._cases = cases
        self._about: dict[str, tuple[str, bool, frozenset[str]]] = {}
        self.outcomes: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self._check, self._restart = check, restart
        self._begun, self._shown, self._is_gone = time.monotonic(), 0.0, False

    def run(self, trials: Sequence[Iterator[Trial]]) -> TargetFinished:
        """Try each source of trials in turn until all have ended, the time is spent, or the server is gone."""
        self.listener(
            TargetStarted(
                target=self.spec.locator,
                order=self.spec.order,
                returns=self.spec.returns or "tokens",
                order_was_assumed=False,
                seconds_planned=self.seconds,
            )
        )
        sources = list(trials)
        while sources and not self._is_gone:
            for source in list(sources):
                self._check()
                if self._is_over():
                    return self.finished(complete=True)
                group = list(itertools.islice(source, self.sender.at_once))
                if not group:
                    sources.remove(source)
                self._try(group)
        return self.finished(complete=True)

    def finished(self, *, complete: bool) -> TargetFinished:
        """Return the summary so far."""
        self._progress(force=True)
        return TargetFinished(
            target=self.spec.locator,
            seconds=self._elapsed(),
            calls=self.sender.sent,
            pairs=self._tried(),
            draws=0,
            outcomes=dict(+self.outcomes),
            checks=dict(self.checks),
            covered={},
            skipped={},
            findings=tuple(self.findings.values()),
            complete=complete,
        )

    def _is_over(self) -> bool:
        enough = self._cases is not None and self._tried() >= self._cases
        return enough or self._is_gone or self._elapsed() >= self.seconds

    def _try(self, group: Sequence[Trial]) -> None:
        group = [trial for trial in group if not self._is_fatal(trial)]
        together = [trial for trial in group if not trial.alone]
        with ThreadPoolExecutor(max_workers=self.sender.at_once) as pool:
            self._judge_all(list(zip(together, pool.map(self._send, (trial.requests for trial in together)))))
        for trial in group:
            if trial.alone and not self._is_gone:
                self._judge_all([(trial, self._send(trial.requests))])

    def _is_fatal(self, trial: Trial) -> bool:
        """Whether a trial holds what is known to end the server: it would only cost another start."""
        known = self._known("process_survives", trial.about, legal=trial.legal)
        if known is not None:
            self.outcomes["left out"] += 1
        return known is not None

    def _send(self, requests: Sequence[Request]) -> list[Reply]:
        return [self.sender.send(request) for request in requests]

    def _judge_all(self, answered: Sequence[tuple[Trial, list[Reply]]]) -> None:
        """Judge the replies to trials that were under way together."""
        if self._was_lost([reply for _, replies in answered for reply in replies]):
            self._lost([trial for trial, _ in answered])
            # the others were cut off by the one that ended it
            answered = [(trial, replies) for trial, replies in answered if not {"gone", "dropped"} & {reply.kind for reply in replies}]
        for trial, replies in answered:
            if not self._is_gone:
                self._judge(trial, replies)

    def _judge(self, trial: Trial, replies: list[Reply]) -> None:
        wrong = False
        for suspicion in (*general(trial), *trial.judged(replies)):
            if suspicion.check not in self.claims:
                continue
            self.checks[suspicion.check] += suspicion.check not in trial.claims
            seen = suspicion.shows(replies)
            if seen:
                wrong = True
                self._suspect(trial, suspicion, seen)
        self.checks.update(claim for claim in trial.claims if claim in self.claims)
        refused = not wrong and not any(reply.accepted for reply in replies)
        self.outcomes["finding" if wrong else "refused" if refused else "pass"] += 1
        self._progress()

    def _was_lost(self, replies: Sequence[Reply]) -> bool:
        """Whether the server has ended since."""
        kinds = {reply.kind for reply in replies}
        return "gone" in kinds or ("dropped" in kinds and not self._lives())

    def _lives(self) -> bool:
        """Whether anything answers: a process that is writing down how it crashed accepts connections still."""
        until = time.monotonic() + _UNSTUCK * self.sender.seconds
        while time.monotonic() < until:
            kind = self.sender.send(ALIVE).kind
            if kind in ("answered", "gone"):
                return kind == "answered"
        return False

    def _lost(self, trials: Sequence[Trial]) -> None:
        """Report that the server has ended: with the trial that ends it where it can be started again, else with all that were under way."""
        self.outcomes["finding"] += 1
        self._is_gone = not self._restart()
        culprit = next((trial for trial in trials if self._ends(trial)), None)
        if culprit is not None:
            trials = [self._least_fatal(culprit)]
        if "process_survives" not in self.claims:
            return
        first, alone = trials[0], len(trials) == 1
        about = first.about if alone else "several requests"
        known = self._known("process_survives", about, legal=first.legal)
        if known is not None:
            self.findings[known] = self.findings[known].repeated()
            return
        requests = [request for trial in trials for request in trial.requests]
        title = f"{first.what} ends the server" if alone else f"one of {len(trials)} requests ends the server"
        suspicion = Suspicion(check="process_survives", kind="gone", title=title, about=about)
        self._announce(first, suspicion, "nothing listens any more", [*requests, ALIVE])

    def _ends(self, trial: Trial) -> bool:
        """Whether a trial ends a server that has been started for it; it is started once more."""
        if self._is_gone:
            return False
        self._check()
        was_lost = self._was_lost(self._send(trial.requests))
        if was_lost:
            self._is_gone = not self._restart()
        return was_lost

    def _least_fatal(self, trial: Trial) -> Trial:
        smaller = next((smaller for smaller in trial.smaller() if self._ends(smaller)), None)
        return trial if smaller is None else self._least_fatal(smaller)

    def _suspect(self, trial: Trial, suspicion: Suspicion, seen: str) -> None:
        known = self._known(suspicion.check, suspicion.about, legal=trial.legal)
        if known is not None:
            self.findings[known] = self.findings[known].repeated()
            return
        if suspicion.kind == "hang":
            stuck = self._is_stuck()
            if stuck is None:
                self.outcomes["inconclusive"] += 1
                return
            if stuck:
                self._announce(trial, suspicion, "and nothing else is answered since", trial.requests)
                self._is_gone = not self._restart()
                return
        shown = self._shown_by(trial, suspicion.check)
        if shown is None:
            self.outcomes["unconfirmed"] += not self._is_gone
            return
        trial, suspicion, told = self._shrunk(trial, *shown)
        if self._known(suspicion.check, suspicion.about, legal=trial.legal) is None:
            self._announce(trial, suspicion, told, trial.requests)

    def _shown_by(self, trial: Trial, check: str) -> tuple[Suspicion, str] | None:
        """Send a trial's requests afresh and return what breaks the claim, and how."""
        replies = self._send(trial.requests)
        if self._was_lost(replies):
            self._lost([trial])
            return None
        found = ((s, s.shows(replies)) for s in (*general(trial), *trial.judged(replies)) if s.check == check)
        return next(((s, line) for s, line in found if line), None)

    def _shrunk(self, trial: Trial, suspicion: Suspicion, told: str) -> tuple[Trial, Suspicion, str]:
        """Return the smallest trial found that breaks the same claim."""
        for smaller in trial.smaller():
            if self._is_gone:
                break
            shown = self._shown_by(smaller, suspicion.check)
            if shown is not None:
                return self._shrunk(smaller, *shown)
        return trial, suspicion, told

    def _known(self, check: str, about: str, *, legal: bool) -> str | None:
        """Return the id of a finding that this is, or that shows with less."""
        whole = set(about.split("+"))
        for key, (known, was_legal, parts) in self._about.items():
            if known == check and was_legal == legal and parts <= whole:
                return key
        return None

    def _is_stuck(self) -> bool | None:
        """Whether the server answers nothing since; None where it is merely slow."""
        until = time.monotonic() + _UNSTUCK * self.sender.seconds
        reply = Reply(kind="hang")
        while time.monotonic() < until and reply.kind != "answered":
            reply = self.sender.send(self.ordinary)
        if reply.kind != "answered":
            return True
        begun = time.monotonic()
        self.sender.send(self.ordinary)
        return None if time.monotonic() - begun > _SLOW * self.sender.seconds else False

    def _announce(self, trial: Trial, suspicion: Suspicion, seen: str, requests: Sequence[Request]) -> None:
        key, claim = self._key(trial, suspicion), self.claims[suspicion.check]
        outcome = _OUTCOMES.get(suspicion.kind, "value")
        violation = Violation(
            check=claim.id,
            severity=suspicion.severity or claim.severity,
            row=0,
            title=suspicion.title,
            expected={"outcome": "value" if trial.legal else "refusal or value", **suspicion.expected},
            observed={
                "outcome": outcome,
                "message": seen,
                **suspicion.observed,
                "requests": [request.to_json() for request in requests],
                "shows": suspicion.kind,
                "constants": suspicion.constants,
                "seconds": self.sender.seconds,
            },
            protocol="http",
        )
        case = suspicion.case or Case(logits=np.zeros((1, 1), np.float32))
        finding = Finding.of(self.spec, violation, case, id=key, seconds=self._elapsed(), cases=self._tried())
        self._about[key] = (suspicion.check, trial.legal, frozenset(suspicion.about.split("+")))
        self.findings[key] = replace(finding, returns=self.spec.returns or "tokens")
        self.listener(FindingFound(finding=self.findings[key]))
        self._checkpoint()

    def _key(self, trial: Trial, suspicion: Suspicion) -> str:
        return fingerprint(f"{suspicion.check}|{suspicion.about}", self.spec.locator, legal=trial.legal)

    def _tried(self) -> int:
        return self.outcomes.total() - self.outcomes["left out"]

    def _elapsed(self) -> float:
        return time.monotonic() - self._begun

    def _progress(self, *, force: bool = False) -> None:
        now = self._elapsed()
        if not force and now - self._shown < 0.2:
            return
        self._shown = now
        self.listener(
            Progress(
                target=self.spec.locator,
                phase="fuzzing",
                seconds=now,
                seconds_planned=self.seconds,
                calls=self.sender.sent,
                pairs=self._tried(),
                draws=0,
                findings=len(self.findings),
            )
        )

    def _checkpoint(self) -> None:
        self.listener(
            Checkpoint(
                target=self.spec.locator,
                seconds=self._elapsed(),
                calls=self.sender.sent,
                pairs=self._tried(),
                draws=0,
                outcomes=dict(+self.outcomes),
                checks=dict(self.checks),
                covered={},
                repeats={f.id: f.repeats for f in self.findings.values()},
                swept=0,
            )
        )
