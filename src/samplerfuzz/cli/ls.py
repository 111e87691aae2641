"""`samplerfuzz ls KIND`: what there is, one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from samplerfuzz.cli.explain import first_sentence
from samplerfuzz.core.dialects import DIALECTS
from samplerfuzz.core.registry import TECHNIQUES

EPILOG = """\
\b
Examples:
  samplerfuzz ls checks
  samplerfuzz ls techniques
  samplerfuzz ls dialects
  samplerfuzz ls zoo
"""

Row = tuple[str, ...]


def _techniques() -> Iterable[Row]:
    for item in TECHNIQUES.values():
        yield item.name, ", ".join(p.name for p in item.parameters), item.summary


def _dialects() -> Iterable[Row]:
    for item in DIALECTS.values():
        yield item.name, item.version, " > ".join(item.order)


def _checks() -> Iterable[Row]:
    from samplerfuzz.checks.http.claims import Claim, own_claims
    from samplerfuzz.checks.registry import Check, load_all

    table: dict[str, Check | Claim] = {**load_all(), **own_claims()}
    for item in sorted(table.values(), key=lambda c: (c.kind, c.id)):
        yield item.id, item.severity, item.kind, first_sentence(item.explanation)


def _targets() -> Iterable[Row]:
    from samplerfuzz.targets.builtin import CHAINS, PREFIX

    for name, order in CHAINS.items():
        yield PREFIX + name, " > ".join(order)


def _models() -> Iterable[Row]:
    from samplerfuzz.llama.models import known

    for model in known().values():
        yield model.name, "here" if model.is_here() else "not fetched", model.description


def _zoo() -> Iterable[Row]:
    from samplerfuzz.zoo import DEFECTS, UNEXPRESSED

    for item in DEFECTS.values():
        yield item.id, item.target, item.description
    for id, reason in UNEXPRESSED.items():
        yield id, "not in the zoo", reason


KINDS: dict[str, Callable[[], Iterable[Row]]] = {
    "techniques": _techniques,
    "dialects": _dialects,
    "checks": _checks,
    "targets": _targets,
    "models": _models,
    "zoo": _zoo,
}


@click.command(epilog=EPILOG)
@click.argument("kind", type=click.Choice(list(KINDS)))
def command(kind: str) -> None:
    """List techniques, dialects, checks, targets, models or the zoo of known defects."""
    rows = [tuple(cells) for cells in KINDS[kind]()]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
