"""`samplerfuzz corpus`: what was worth keeping of earlier runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from samplerfuzz.core.errors import UsageError

_EXAMPLES = """\
\b
Examples:
  samplerfuzz fuzz samplers.py:sample --corpus fuzz/corpus          throw what is there first, add what is new
  samplerfuzz corpus merge fuzz/corpus other/corpus                 take over what another one has
  samplerfuzz corpus minimise fuzz/corpus samplers.py:sample        drop what shows nothing of its own
  samplerfuzz corpus ls fuzz/corpus
"""

_directory = click.argument("directory", type=click.Path(file_okay=False, path_type=Path))


@click.group(epilog=_EXAMPLES)
def command() -> None:
    """Merge, minimise or list the cases that `fuzz --corpus` keeps."""


@command.command()
@_directory
@click.argument("others", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def merge(directory: Path, others: tuple[Path, ...]) -> None:
    """Copy the cases of OTHERS into DIRECTORY; a case that is there already is one case."""
    from samplerfuzz.cases.corpus import file_of, files, read, text_of
    from samplerfuzz.report.files import write_atomically

    new = 0
    for path in (path for other in others for path in files(other)):
        case = read(path)
        if not (directory / file_of(case)).exists():
            write_atomically(directory / file_of(case), text_of(case))
            new += 1
    click.echo(f"{new} new, {len(files(directory))} in all")


@command.command()
@_directory
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
def minimise(directory: Path, targets: tuple[str, ...]) -> None:
    """Keep the fewest cases that show what all show together on the TARGETS; those that no target takes stay."""
    from samplerfuzz.cases.corpus import cases_for, file_of, files
    from samplerfuzz.checks.judgement import Judgement
    from samplerfuzz.cli.fuzz import load_target
    from samplerfuzz.engine.novelty import Novelty

    shown: dict[Path, set[tuple[str, int]]] = {}
    for locator in targets:
        target = load_target(locator, 10.0)
        for case in cases_for(directory, frozenset(target.spec.parameters), target.spec.inputs):
            novelty = Novelty(target.spec.parameters)
            novelty.saw(Judgement(target.spec, case, target.run(case)), 0.0)
            shown.setdefault(directory / file_of(case), set()).update((locator, cell) for cell in novelty.cells)
    if not shown:
        raise UsageError(
            f"{directory} holds no case that {', '.join(targets)} can be given; `samplerfuzz corpus ls {directory}` says what it holds"
        )
    needed: set[Path] = set()
    missing = set().union(*shown.values())
    while missing:
        best = max(shown, key=lambda path: (len(shown[path] & missing), path.name))
        needed.add(best)
        missing -= shown[best]
    for path in shown.keys() - needed:
        path.unlink()
    click.echo(f"{len(shown) - len(needed)} dropped, {len(needed)} kept of those tried, {len(files(directory))} in all")


@command.command("ls")
@_directory
def list_(directory: Path) -> None:
    """Count the cases by what they give."""
    folders = sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []
    if not folders:
        raise UsageError(f"{directory} holds no corpus; `samplerfuzz fuzz TARGET --corpus {directory}` makes one")
    width = shutil.get_terminal_size().columns - 8
    for folder in folders:
        click.echo(f"{len(list(folder.glob('*.json'))):6}  {folder.name[:width]}")
