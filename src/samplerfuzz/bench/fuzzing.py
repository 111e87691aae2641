"""How many (row, configuration) pairs a second are thrown, answered and judged, beside one-example-at-a-time property tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from samplerfuzz.bench.machine import describe, load_average
from samplerfuzz.bench.sampler import temperature_and_top_k
from samplerfuzz.core.errors import SamplerFuzzError
from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import Checkpoint, Event
from samplerfuzz.engine.run import CLEAN, run, select_checks
from samplerfuzz.targets import builtin
from samplerfuzz.targets.opening import close, open_target

VOCABULARY = 32
NUMPY = f"{temperature_and_top_k.__module__}:{temperature_and_top_k.__name__}"
TARGETS = (f"{builtin.PREFIX}common_chain", NUMPY)
TOGETHER = "all built-in samplers, each as long"
PROPERTY = "Hypothesis, one example at a time"


@dataclass(frozen=True)
class Rate:
    """Pairs a second of one way to fuzz. `settled` leaves the first third of the time out, in which kernels are compiled."""

    what: str
    workers: int
    seconds: float
    pairs: int
    overall: float
    settled: float


def every_builtin() -> tuple[str, ...]:
    """Return all built-in samplers and the NumPy function."""
    return (*builtin.names(), NUMPY)


def rates(
    targets: Sequence[str] = TARGETS, *, workers: Sequence[int], seconds: float, seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Fuzz each target with every number of workers, then run the properties, and return the rates with the machine.

    Raises:
      SamplerFuzzError: a target was accused or nothing was judged: a rate of that would say nothing.
    """
    before = load_average()
    found = []
    for locator in targets:
        for count in workers:
            tell(f"{locator}, {count} worker{'s' * (count != 1)}")
            found.append(_fuzzed(locator, workers=count, seconds=seconds, seed=seed))
    if len(targets) > len(TARGETS):
        found += [
            _together([rate for rate in found if rate.workers == count and rate.what.startswith(builtin.PREFIX)]) for count in workers
        ]
    tell(PROPERTY)
    found.append(_properties(seconds=seconds))
    return {
        "machine": asdict(describe()),
        "load_average": [before, load_average()],
        "vocabulary": VOCABULARY,
        "rates": [asdict(rate) for rate in found],
    }


def _fuzzed(locator: str, *, workers: int, seconds: float, seed: int) -> Rate:
    points: list[tuple[float, int]] = [(0.0, 0)]
    begun = time.monotonic()

    def listen(event: Event) -> None:
        if isinstance(event, Checkpoint):
            points.append((time.monotonic() - begun, event.pairs))

    target = open_target(locator)
    try:
        status = run(
            [target],
            checks=select_checks([], []),
            seed=seed,
            limits=Limits(seconds=seconds, sizes=(VOCABULARY,), large=()),
            fail_on="low",
            listener=listen,
            workers=workers,
            open_target=open_target,
        )
    finally:
        close(target)
    if status != CLEAN:
        raise SamplerFuzzError(f"{locator} ended with status {status}: nothing to measure; `samplerfuzz fuzz {locator}` says why")
    end, pairs = points[-1]
    early, fewer = next(point for point in points if point[0] >= end / 3)
    return Rate(locator, workers, round(end, 2), pairs, round(pairs / end, 1), round((pairs - fewer) / max(end - early, 1e-9), 1))


def _together(rates: Sequence[Rate]) -> Rate:
    """Return what fuzzing the targets one after another, each for the same time, comes to."""
    seconds, pairs = sum(rate.seconds for rate in rates), sum(rate.pairs for rate in rates)
    settled = sum(rate.settled for rate in rates) / len(rates)
    return Rate(TOGETHER, rates[0].workers, round(seconds, 2), pairs, round(pairs / seconds, 1), round(settled, 1))


def _properties(*, seconds: float) -> Rate:
    """Check the same function as people write it: one row an example, its kept set against a reference of three lines."""
    import hypothesis.strategies as st
    from hypothesis import HealthCheck, given, settings

    seen = 0
    numbers = st.floats(-50, 50, width=32)

    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(z=st.lists(numbers, min_size=VOCABULARY, max_size=VOCABULARY), t=st.floats(0.001, 2), k=st.integers(1, VOCABULARY))
    def keeps_the_k_largest(z: list[float], t: float, k: int) -> None:
        nonlocal seen
        seen += 1
        row = np.array([z], np.float32)
        answer = temperature_and_top_k(row, np.array([t]), np.array([k]))[0]
        kept = answer > -np.inf
        assert (row[0][kept] >= np.sort(row[0])[-k]).all()
        assert kept.sum() >= k
        assert np.allclose(answer[kept], row[0][kept] / t, rtol=1e-5)

    begun = time.monotonic()
    while time.monotonic() - begun < min(seconds, 10.0):
        keeps_the_k_largest()
    took = time.monotonic() - begun
    return Rate(PROPERTY, 1, round(took, 2), seen, round(seen / took, 1), round(seen / took, 1))
