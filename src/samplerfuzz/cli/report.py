"""`samplerfuzz report`: a recorded finding written for others, or one page of a run, a probe and a guard's log."""

from __future__ import annotations

from pathlib import Path

import click

from samplerfuzz.cli.replay import recorded
from samplerfuzz.core.errors import UsageError

EPILOG = """\
\b
Examples:
  samplerfuzz report --issue e574d97fd1                     of the newest run under reports/
  samplerfuzz report reports/nightly --issue e574d97fd1
  samplerfuzz report --issue e574d97fd1 > issue.md
  samplerfuzz report reports/nightly reports/probe-tiny audit.jsonl --page all.html
"""


@click.command(epilog=EPILOG)
@click.argument("sources", metavar="[DIR|FILE]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--issue", "id", metavar="ID", help="Print this finding as a bug report: its ten hexadecimal digits.")
@click.option("--page", type=click.Path(path_type=Path), metavar="FILE", help="Write one offline page of all sources.")
def command(sources: tuple[Path, ...], id: str | None, page: Path | None) -> None:
    """Print a finding as a bug report in Markdown, with a program that shows the defect without samplerfuzz; or bring fuzz runs, probes
    and the audit logs of a guard together on one page."""
    if (id is None) == (page is None):
        raise UsageError("expected either --issue ID, for a bug report, or --page FILE, for one page of all sources")
    if id is not None:
        if len(sources) > 1:
            raise UsageError(f"--issue: expected one run at most, found {len(sources)}")
        click.echo(_issue(sources[0] if sources else None, id), nl=False)
    elif page is not None:
        if not sources:
            raise UsageError("--page: name what goes on the page: directories of runs and probes, audit logs of a guard")
        _write_page(sources, page)


def _issue(source: Path | None, id: str) -> str:
    from samplerfuzz.checks.http.claims import Claim, own_claims
    from samplerfuzz.checks.registry import Check, load_all
    from samplerfuzz.report.issue import issue_text

    where, findings = recorded(str(source) if source else id)
    named = [finding for finding in findings if finding.id == id]
    if not named:
        raise UsageError(f"no finding {id!r} in {where}; findings there: {', '.join(f.id for f in findings) or 'none'}")
    checks: dict[str, Check | Claim] = {**load_all(), **own_claims()}
    if named[0].violation.check not in checks:
        raise UsageError(f"{id} is a finding of the check {named[0].violation.check!r}, which this version does not have")
    return issue_text(named[0], checks[named[0].violation.check])


def _write_page(sources: tuple[Path, ...], page: Path) -> None:
    from samplerfuzz.report.together import gather, together_page

    text = together_page(gather(sources), page.resolve())
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--page {page}: cannot be written ({error.strerror}); name another file") from error
    click.echo(f"page: {page}")
