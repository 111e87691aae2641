"""`samplerfuzz baseline`: accept findings for a while, so that CI fails only on new ones."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.engine.baseline import Baseline

DEFAULT = Path("fuzz/baseline.json")

_EXAMPLES = """\
\b
Examples:
  samplerfuzz baseline add reports/ci --reason "issue 812, fixed in 2.4" --expires 2027-03-31
  samplerfuzz baseline add reports/ci --id e574d97fd1 --reason "documented behaviour" --expires 2027-12-31
  samplerfuzz baseline ls
  samplerfuzz baseline prune

\b
`samplerfuzz fuzz` takes fuzz/baseline.json where it is there, another one with --baseline FILE.
A known finding is shown and recorded, and does not count for the exit status until it expires.
"""

_file = click.option(
    "--file", "path", type=click.Path(dir_okay=False, path_type=Path), default=DEFAULT, show_default=True, help="The baseline."
)


@click.group(epilog=_EXAMPLES)
def command() -> None:
    """Accept known findings, each with a reason and a day on which it expires."""


@command.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this finding; may be repeated (default: all of the run).")
@click.option("--reason", required=True, help="Why it is accepted: for whoever meets it next.")
@click.option("--expires", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Last day on which it is.")
@_file
def add(run: Path, ids: tuple[str, ...], reason: str, expires: datetime, path: Path) -> None:
    """Accept the findings of the run in the directory RUN."""
    from samplerfuzz.engine.history import history_of
    from samplerfuzz.report.events_log import LOG_NAME, read_events
    from samplerfuzz.report.files import write_atomically

    history = history_of(read_events(run / LOG_NAME))
    found = {f.id: f for f in history.findings} if history else {}
    if unknown := [name for name in ids if name not in found]:
        raise UsageError(f"{run} holds no finding {unknown[0]}; it holds {', '.join(found) or 'none'}")
    if not reason.strip():
        raise UsageError("--reason is empty; say why the finding is accepted")
    if expires.date() < _today():
        raise UsageError(f"--expires {expires.date()} is past; name a day from {_today()} on")
    chosen = [f for f in found.values() if f.id in ids or not ids]
    if not chosen:
        raise UsageError(f"{run} holds no finding: there is nothing to accept")
    write_atomically(path, _at(path).with_findings(chosen, reason=reason.strip(), expires=expires.date()).text())
    click.echo(f"{len(chosen)} finding{'s' * (len(chosen) != 1)} accepted until {expires.date()}: {path}")


@command.command("ls")
@_file
def list_(path: Path) -> None:
    """List what is accepted, until when and why."""
    from samplerfuzz.report.text import printable

    for entry in sorted(_at(path).entries.values(), key=lambda e: (e.expires, e.id)):
        state = f"until {entry.expires}" if entry.expires >= _today() else f"EXPIRED {entry.expires}"
        click.echo(printable(f"{entry.id}  {state}  {entry.target}  {entry.check}: {entry.reason}"))


@command.command()
@_file
def prune(path: Path) -> None:
    """Take out what has expired."""
    from samplerfuzz.engine.baseline import Baseline
    from samplerfuzz.report.files import write_atomically

    known = _at(path)
    gone = {e.id for e in known.expired(_today())}
    if gone:
        write_atomically(path, Baseline({name: e for name, e in known.entries.items() if name not in gone}).text())
    click.echo(f"{len(gone)} expired of {len(known.entries)}")


def read(path: Path | None, *, wanted: bool) -> Baseline:
    """Return the baseline that a run uses: `path`, or fuzz/baseline.json where that exists, or none; tell what has expired."""
    from samplerfuzz.engine.baseline import Baseline
    from samplerfuzz.report.text import printable

    if not wanted or (path is None and not DEFAULT.exists()):
        return Baseline({})
    known = Baseline.read(path or DEFAULT)
    for entry in known.expired(_today()):
        click.echo(
            printable(f"expired on {entry.expires}, counts again: {entry.id} {entry.check} in {entry.target} ({entry.reason})"), err=True
        )
    return known


def _at(path: Path) -> Baseline:
    from samplerfuzz.engine.baseline import Baseline

    return Baseline.read(path) if path.exists() else Baseline({})


def _today() -> date:
    return datetime.now(UTC).date()
