"""The kill matrix: which defect was caught by which checks, how fast, and how small its case became."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from samplerfuzz.checks.finding import Finding
from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import INTERRUPTED, Event, FindingFound
from samplerfuzz.engine.run import run, select_checks
from samplerfuzz.targets.isolated import load_target
from samplerfuzz.zoo.catalog import Defect
from samplerfuzz.zoo.unexpressed import UNEXPRESSED


@dataclass(frozen=True, kw_only=True)
class Kill:
    """What became of one defect.

    Attributes:
      id, source, kind, description: of the defect.
      caught: whether there was a finding; a check that was expected to see it is among `checks` where `as_expected`.
      checks: ids of the checks that saw it.
      seconds, cases: until the first finding; (row, configuration) pairs.
      rows, vocabulary: of the smallest case.
    """

    id: str
    source: str
    kind: str
    description: str
    caught: bool
    as_expected: bool
    checks: tuple[str, ...]
    seconds: float | None
    cases: int | None
    rows: int | None
    vocabulary: int | None


def kill(defect: Defect, *, seconds: float, seed: int, call_timeout: float = 2.0) -> Kill:
    """Fuzz one defect from its plain function alone, at the lowest severity.

    Raises:
      KeyboardInterrupt: Ctrl-C.
    """
    found: list[Finding] = []

    def listen(event: Event) -> None:
        if isinstance(event, FindingFound):
            found.append(event.finding)

    checks = select_checks([], [])
    target = load_target(defect.target, time_limit=call_timeout)
    try:
        status = run([target], checks=checks, seed=seed, limits=Limits(seconds=seconds), fail_on="low", listener=listen)
    finally:
        target.close()
    if status == INTERRUPTED:
        raise KeyboardInterrupt
    smallest = min((f.case for f in found), key=lambda case: case.rows * case.vocabulary, default=None)
    kinds = {c.id: c.kind for c in checks}
    return Kill(
        id=defect.id,
        source=defect.source,
        kind=defect.kind,
        description=defect.description,
        caught=bool(found),
        as_expected=any(kinds[f.violation.check] in defect.expected_checks for f in found),
        checks=tuple(sorted({f.violation.check for f in found})),
        seconds=round(found[0].seconds, 2) if found else None,
        cases=found[0].cases if found else None,
        rows=smallest.rows if smallest else None,
        vocabulary=smallest.vocabulary if smallest else None,
    )


def matrix_json(kills: Sequence[Kill]) -> str:
    """Return the matrix as JSON: a list of kills."""
    return json.dumps([asdict(k) for k in kills], indent=1, ensure_ascii=False)


def matrix_markdown(kills: Sequence[Kill], *, seconds: float, seed: int) -> str:
    """Return the matrix as a document."""
    caught = [k for k in kills if k.caught]
    times = sorted(k.seconds for k in caught if k.seconds is not None)
    lines = [
        "# The kill matrix",
        "",
        "Written by `samplerfuzz zoo --markdown`; do not edit. Each row is a defective sampler of `src/samplerfuzz/zoo`, most of which re-create a",
        "documented bug of a released library, fuzzed from its plain function alone. Seconds and pairs are those until the first finding;",
        "B and V are rows and tokens of its smallest case.",
        "",
        f"{len(caught)} of {len(kills)} caught (limit {seconds:g} s each, seed {seed})"
        + (f"; seconds to the first finding: median {median(times):.2f}, largest {times[-1]:.2f}" if times else "")
        + ".",
        "",
        "| id | source | what is wrong | caught | s | pairs | B | V | checks |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for k in kills:
        numbers = [_number(k.seconds), _number(k.cases), _number(k.rows), _number(k.vocabulary)]
        checks = ", ".join(f"`{c}`" for c in k.checks)
        lines.append(
            f"| {k.id} | {_cell(k.source)} | {_cell(k.description)} | {'yes' if k.caught else '**no**'} | {' | '.join(numbers)} | {checks} |"
        )
    lines += ["", "## Not in the zoo", "", "| id | why |", "|---|---|"]
    lines += [f"| {name} | {_cell(reason)} |" for name, reason in UNEXPRESSED.items()]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
