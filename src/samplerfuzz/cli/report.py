"""`samplerfuzz report --issue ID`: a recorded finding, written for others."""

from __future__ import annotations

from pathlib import Path

import click

from samplerfuzz.cli.replay import recorded

EPILOG = """\
\b
Examples:
  samplerfuzz report --issue e574d97fd1                     of the newest run under reports/
  samplerfuzz report reports/nightly --issue e574d97fd1
  samplerfuzz report --issue e574d97fd1 > issue.md
"""


@click.command(epilog=EPILOG)
@click.argument("source", metavar="[DIR|FILE]", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--issue", "id", metavar="ID", required=True, help="The finding: its ten hexadecimal digits.")
def command(source: Path | None, id: str) -> None:
    """Print a finding as a bug report in Markdown, with a program that shows the defect without samplerfuzz."""
    from samplerfuzz.checks.registry import load_all
    from samplerfuzz.core.errors import UsageError
    from samplerfuzz.report.issue import issue_text

    where, findings = recorded(str(source) if source else id)
    named = [finding for finding in findings if finding.id == id]
    if not named:
        raise UsageError(f"no finding {id!r} in {where}; findings there: {', '.join(f.id for f in findings) or 'none'}")
    checks = load_all()
    if named[0].violation.check not in checks:
        raise UsageError(f"{id} is a finding of the check {named[0].violation.check!r}, which this version does not have")
    click.echo(issue_text(named[0], checks[named[0].violation.check]), nl=False)
