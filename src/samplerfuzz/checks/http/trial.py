"""A trial: a few requests, and what may show in their replies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from samplerfuzz.cases import Case
from samplerfuzz.checks.http.shown import shown
from samplerfuzz.targets.http.exchange import Reply, Request


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """A claim that replies may break.

    Attributes:
      check: id of the claim.
      kind, constants: what `shown` is asked.
      title: what goes wrong, for people; what `shown` says follows it.
      severity: another one than the claim's, or "".
      expected, observed: more evidence, JSON-ready.
      case: the row that it is about, where it is about one.
      about: what the claim is broken for, such as parameters joined by `+`: two of them are two findings, unless one holds the other.
    """

    check: str
    kind: str
    title: str
    about: str
    constants: dict[str, Any] = field(default_factory=dict)
    severity: str = ""
    expected: dict[str, Any] = field(default_factory=dict)
    observed: dict[str, Any] = field(default_factory=dict)
    case: Case | None = None

    def shows(self, replies: Sequence[Reply]) -> str:
        """Return what is wrong in one line, "" where nothing is."""
        return shown(self.kind, [{"kind": r.kind, "status": r.status, "text": r.text} for r in replies], self.constants)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Requests that belong together, sent one after another.

    Attributes:
      requests: what is sent.
      judged: what to suspect, given the replies.
      legal: whether every parameter lies in its common domain.
      what: in a few words, for titles: `temperature="x" at /completion`.
      about: as of a suspicion.
      claims: what the replies are held to, beyond what is suspected.
      smaller: trials of fewer settings, the ones to prefer first.
      alone: whether nothing else may be under way meanwhile.
    """

    requests: tuple[Request, ...]
    judged: Callable[[Sequence[Reply]], Iterable[Suspicion]]
    legal: bool = True
    what: str = ""
    about: str = ""
    claims: tuple[str, ...] = ()
    smaller: Callable[[], Iterable[Trial]] = tuple
    alone: bool = False


def general(trial: Trial) -> Iterator[Suspicion]:
    """Yield what may go wrong with any request at all."""
    yield Suspicion(check="call_returns", kind="hang", title=f"{trial.what}: no answer", about=trial.about)
    yield Suspicion(check="request_is_answered", kind="dropped", title=f"{trial.what}: the connection ends", about=trial.about)
    yield Suspicion(
        check="server_does_not_fail",
        kind="failed",
        title=f"{trial.what} is answered with a failure of the server",
        # a server that fails at one wrong request fails at most of them
        about=trial.about if trial.legal else "a wrong request",
        severity="high" if trial.legal else "",
    )
    yield Suspicion(check="answer_is_json", kind="no_json", title=f"{trial.what}: the answer is no JSON", about=trial.about)
