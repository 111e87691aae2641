"""Hypothesis strategies for tests of samplers: the logits, parameters, histories and whole cases that samplerfuzz throws itself.

    @given(case=sf.strategies.cases(my_sampler))
    def test_my_sampler(case):
        sf.strategies.assert_conforms(my_sampler, case)

They are made by the regimes and edges of `samplerfuzz.cases`, whose random numbers Hypothesis draws here; so failures shrink towards
few rows, few tokens and round numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
from hypothesis import strategies as st

from samplerfuzz.cases import Case, Generator
from samplerfuzz.cases.drawn import DrawnGenerator
from samplerfuzz.cases.generator import STRATEGIES
from samplerfuzz.cases.logits import REGIMES, rows_of
from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import TECHNIQUES, parameter, parameter_owners, technique

__all__ = ["assert_conforms", "cases", "histories", "logits", "parameters"]

Range = tuple[int, int]
# the first is what everything shrinks towards: small integers, many of them equal
_PLAINEST_REGIME = "tied"
_PLAINEST_WAYS = ("ordinary", "neutral")
_SHARED = "min_tokens_to_keep"
# claims that one call or a few settle; what counts draws needs a run and its error budget
_KINDS = ("contract", "support", "distribution", "metamorphic", "rows")


def logits(*, rows: Range = (1, 3), vocabulary: Range = (1, 8), regimes: Sequence[str] | None = None) -> st.SearchStrategy[np.ndarray]:
    """Return a strategy for logits [B, V] float32: flat, peaked, tied, one ulp apart, denormal, ±1e30, masked by −∞ and so on.

    Args:
      rows, vocabulary: least and largest B and V.
      regimes: names in `samplerfuzz.cases.logits.REGIMES` (default: all).

    Raises:
      UsageError: an unknown regime, an empty range.
    """
    names = _regimes(regimes)
    b, v = _integers("rows", rows), _integers("vocabulary", vocabulary)

    @st.composite
    def made(draw: st.DrawFn) -> np.ndarray:
        return rows_of(draw(names), _drawn(draw), draw(b), draw(v))

    return made()


def parameters(*, order: Sequence[str], vocabulary: int = 8, edges: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for the parameters of one call, name -> value, as a function without `per_row` is given them.

    They lie in the common domain, where refusing is a finding, or do nothing; a temperature may also be 0, greedy.

    Args:
      order: stages, each for all of its own parameters, or single parameters by name (`min_tokens_to_keep`, say).
      vocabulary: V, where a value depends on it: ranks, token ids.
      edges: whether values beyond the common domain are among them, NaN included: refusing those is fair.

    Raises:
      UsageError: an unknown stage or parameter.
    """
    generator = Generator(parameters=_names(order), inputs=frozenset(), per_row=False)
    ways = ["neutral", "ordinary", *(["edge"] if edges else [])]

    @st.composite
    def made(draw: st.DrawFn) -> dict[str, Any]:
        case = generator.case(_drawn(draw), rows=1, size=vocabulary, strategy=draw(st.sampled_from(ways)), regime="flat")
        return {name: _scalar(name, values[0]) for name, values in case.parameters.items()}

    return made()


def histories(*, rows: Range = (1, 3), vocabulary: int = 8, foreign: bool = False) -> st.SearchStrategy[list[np.ndarray]]:
    """Return a strategy for the tokens so far: B integer arrays, empty ones, loops and long ones among them.

    Args:
      rows: least and largest B.
      vocabulary: V; the ids lie in [0, V).
      foreign: whether ids outside the vocabulary are among them: refusing those is fair.

    Raises:
      UsageError: an empty range.
    """
    generator = Generator(parameters=(), inputs=frozenset({"history"}), per_row=True)
    b = _integers("rows", rows)

    @st.composite
    def made(draw: st.DrawFn) -> list[np.ndarray]:
        way = "edge" if foreign and draw(st.booleans()) else "ordinary"
        return list(generator.case(_drawn(draw), rows=draw(b), size=vocabulary, strategy=way, regime="flat").history or ())

    return made()


def cases(
    function: Callable[..., Any],
    *,
    rows: Range = (1, 3),
    vocabulary: Range = (1, 8),
    regimes: Sequence[str] | None = None,
    ways: Sequence[str] = tuple(STRATEGIES),
) -> st.SearchStrategy[Case]:
    """Return a strategy for whole calls of a sampler under the plain-function contract: logits, parameters, histories, seeds, uniforms.

    Args:
      function: read for its signature and its declaration; it is not called.
      rows, vocabulary: least and largest B and V.
      regimes: of the logits, as in `logits`.
      ways: of the parameters: "ordinary", "beside threshold" (at and just off the thresholds of the row), "edge", "neutral", "poison"
        (a NaN, +∞ or nothing but −∞ in the logits), "mixed rows".

    Raises:
      UsageError: no sampler, an unknown regime or way, an empty range.
    """
    from samplerfuzz.targets.plain import PlainTarget

    unknown = [way for way in ways if way not in STRATEGIES]
    if unknown or not ways:
        raise UsageError(f"ways={list(ways)!r}: expected some of {', '.join(STRATEGIES)}")
    spec = PlainTarget(function, locator=_name(function)).spec
    generator = Generator(parameters=spec.parameters, inputs=spec.inputs, per_row=spec.per_row)
    names = _regimes(regimes)
    b, v = _integers("rows", rows), _integers("vocabulary", vocabulary)
    among = st.sampled_from(sorted(ways, key=lambda way: way not in _PLAINEST_WAYS))

    @st.composite
    def made(draw: st.DrawFn) -> Case:
        case = generator.case(_drawn(draw), strategy=draw(among), regime=draw(names), rows=draw(b), size=draw(v))
        # said after all else, so that a row goes and the others stay as they are
        stays = [row for row in range(case.rows) if draw(st.booleans())]
        needed = [row for row in range(case.rows) if row not in stays][: max(0, rows[0] - len(stays))]
        return case.take(sorted([*stays, *needed]))

    return made()


def assert_conforms(function: Callable[..., Any], case: Case, *, call_timeout: float = 60.0) -> None:
    """Call a sampler with a case, and once more for each relation that must hold, and hold the answers to the oracle.

    The claims are those of the kinds contract, support, distribution, metamorphic and rows (`samplerfuzz ls checks`). What takes many
    draws to tell is not asked; `assert_sampler_conforms` asks it.

    Args:
      function: a sampler under the plain-function contract.
      case: of `cases(function)`.
      call_timeout: seconds after which a call is a hang; a first call may compile.

    Raises:
      AssertionError: a claim is broken; the message is the finding as a run shows it.
      UsageError: no sampler.
    """
    from samplerfuzz.checks.finding import Finding, fingerprint
    from samplerfuzz.checks.judgement import Judgement
    from samplerfuzz.checks.registry import load_all
    from samplerfuzz.report.finding_text import finding_text

    target = _target(function, call_timeout)
    spec = target.spec
    answered = Judgement(spec, case, target.run(case))
    for check in load_all().values():
        if check.kind not in _KINDS or not check.applies(spec):
            continue
        for violation in check.judge(check, answered) if check.judge is not None else check.examine(target, case):
            finding = Finding.of(spec, violation, case, id=fingerprint(check.id, spec.locator, legal=True), cases=1)
            raise AssertionError(f"{check.id}\n{finding_text(finding)}")


@lru_cache(maxsize=64)
def _target(function: Callable[..., Any], call_timeout: float) -> Any:
    from samplerfuzz.targets.plain import PlainTarget

    target = PlainTarget(function, locator=_name(function), time_limit=call_timeout)
    target.learn_form()
    return target


def _drawn(draw: st.DrawFn) -> np.random.Generator:
    return cast(np.random.Generator, DrawnGenerator(draw))


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{getattr(function, '__qualname__', type(function).__qualname__)}"


def _regimes(names: Sequence[str] | None) -> st.SearchStrategy[str]:
    known = sorted(REGIMES, key=lambda name: name != _PLAINEST_REGIME)
    unknown = [name for name in names or () if name not in REGIMES]
    if unknown or (names is not None and not names):
        raise UsageError(f"regimes={list(names or ())!r}: expected some of {', '.join(known)}")
    return st.sampled_from([name for name in known if names is None or name in names])


def _integers(what: str, ends: Range) -> st.SearchStrategy[int]:
    low, high = ends
    if not 1 <= low <= high:
        raise UsageError(f"{what}={ends!r}: expected (least, largest), the least at least 1")
    return st.integers(low, high)


def _names(order: Sequence[str]) -> list[str]:
    """Return the names of the parameters of stages, and single ones as they are."""
    names: list[str] = []
    for entry in order:
        if entry in TECHNIQUES or entry not in parameter_owners():
            names += [item.name for item in technique(entry).parameters if item.name != _SHARED]
        else:
            names.append(entry)
    return list(dict.fromkeys(names))


def _scalar(name: str, value: Any) -> Any:
    kind = parameter(name).kind
    return int(value) if kind in ("integer", "switch") and np.isfinite(value) else float(value) if parameter(name).is_number else value
