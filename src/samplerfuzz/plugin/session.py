"""One run of pytest, the same value in its controller and in every xdist worker. Standard library only: it is there in every pytest run."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_SLUG = 60


@dataclass(frozen=True, kw_only=True)
class Session:
    """What all tests of a run of pytest share.

    Attributes:
      id: of this run and no other.
      seed: every test's seed descends from it and the test's node id.
      started: ISO 8601, with its time zone.
      invoked: the directory that pytest was called in; paths are shown relative to it.
      directory: of the merged report; what a test leaves is under `tests/` there.
      seconds, fail_on: where a test says nothing else.
      replay: findings to run again instead of fuzzing, or "".
      worker: name of the xdist worker where each worker runs every test, else "".
      copies: how often every test is run.
    """

    id: str
    seed: int
    started: str
    invoked: str
    directory: str
    seconds: float
    fail_on: str
    replay: str = ""
    worker: str = ""
    copies: int = 1

    def to_text(self) -> str:
        """Return the session as a line that travels to a worker."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Session:
        """Invert `to_text`."""
        return cls(**json.loads(text))

    @property
    def tests(self) -> Path:
        """The directory that holds one directory a call."""
        return Path(self.directory) / "tests"

    def directory_of(self, test: str, call: int) -> Path:
        """Return the directory of the `call`-th call, counted from 1, of the test with node id `test`."""
        words = re.sub(r"[^A-Za-z0-9_.]+", "-", test).strip("-.")[-_SLUG:]
        parts = [words, _digest(test).hex()[:8], *([str(call)] if call > 1 else []), *([self.worker] if self.worker else [])]
        return self.tests / "-".join(parts)

    def seed_of(self, test: str, call: int) -> int:
        """Return the seed of a call: it depends on the test and the run, on no worker and no order."""
        return int.from_bytes(_digest(f"{self.seed}|{test}|{call}")[:6], "big")

    def shown(self, path: Path) -> str:
        """Return a path as a person in `invoked` types it."""
        inside = path.is_absolute() and path.is_relative_to(self.invoked)
        return os.path.relpath(path, self.invoked) if inside else str(path)


@dataclass(kw_only=True)
class Shares:
    """The split of one error budget among the calls of a run of pytest: the shares never add up to more than 1.

    Half of it is split among the tests that ask for the fixture, which every worker knows after collection; the other half among all
    tests, for those that turn out to call it without having asked. The k-th call of a test gets 6 / (π² k²) of its test's share.

    >>> shares = Shares(copies=1)
    >>> shares.collected(["a", "b", "c"], asking=["a", "b"])
    >>> call, share = shares.next_call("a")
    >>> call, round(share, 4)
    (1, 0.152)
    """

    copies: int
    _asking: frozenset[str] = frozenset()
    _all: int = 1
    _calls: Counter[str] = field(default_factory=Counter)

    def collected(self, tests: Iterable[str], asking: Iterable[str]) -> None:
        """Learn which tests there are and which of them ask for the fixture."""
        self._asking, self._all = frozenset(asking), max(1, len(list(tests)))

    def next_call(self, test: str) -> tuple[int, float]:
        """Return the number of the next call of a test, from 1, and its share of the budget."""
        self._calls[test] += 1
        call = self._calls[test]
        among = len(self._asking) if test in self._asking else self._all
        return call, 3 / (math.pi**2 * call**2) / (among * self.copies)

    def calls(self, test: str) -> int:
        """Return how many calls a test has made."""
        return self._calls[test]


def plain_node_id(nodeid: str, groups: Iterable[Any] = ()) -> str:
    """Return a node id without the group that `xdist --dist loadgroup` appends to it.

    >>> plain_node_id("test_a.py::test_b[x@y]@fast_gpu", ["gpu", "fast"])
    'test_a.py::test_b[x@y]'
    """
    names = "_".join(sorted({str(name) for name in groups}))
    return nodeid.removesuffix(f"@{names}") if names else nodeid


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).digest()
