"""`samplerfuzz replay`: are the recorded findings still there?"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from samplerfuzz.cli.interpreter import python_option
from samplerfuzz.cli.seconds import Seconds
from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.checks.finding import Finding
    from samplerfuzz.engine.replay import Replay

_RUNS = Path("reports")
_COLOURS = {"FIXED": "green", "FAILED": "red", "ERROR": "yellow"}
_EPILOG = """\
\b
Examples:
  samplerfuzz replay                                    the newest run under reports/
  samplerfuzz replay e574d97fd1                         one finding of the newest run
  samplerfuzz replay reports/nightly                    every finding of a run, killed or not
  samplerfuzz replay reports/nightly/report.json --json
  samplerfuzz replay reports/nightly/cases/e574d97fd1.json
  samplerfuzz replay reports/server                     of a server, which must run

\b
Exit status: 0 every finding is FIXED, 1 one or more FAILED, 2 none FAILED but one or
more gave an ERROR, or a usage error.
"""


@click.command(epilog=_EPILOG)
@click.argument("what", metavar="[ID|FILE|DIR]", required=False)
@click.option(
    "--call-timeout",
    type=Seconds(),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="A call of the target that takes longer is a hang.",
)
@python_option
@click.option("--allow-network", is_flag=True, help="Send recorded requests to servers on other machines too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(what: str | None, call_timeout: float, python: str | None, allow_network: bool, as_json: bool) -> None:
    """Run recorded findings again, each on its exact case, on the target as it is now.

    FIXED: the claim holds on the case. FAILED: it is still broken, or the target gives no answer where it must. ERROR: it
    cannot be told, since the target cannot be loaded or no longer takes what the case gives.

    The argument is the id of a finding of the newest run under reports/, a case file, a report.json or a report directory.
    """
    from samplerfuzz.checks.registry import load_all
    from samplerfuzz.cli.fuzz import load_target
    from samplerfuzz.engine.replay import replay
    from samplerfuzz.targets.http.client import Client
    from samplerfuzz.targets.http.locators import checked_url

    def reach(locator: str) -> Client:
        return Client(checked_url(locator, allow_network=allow_network), seconds=call_timeout)

    source, findings = recorded(what)
    replays = []
    for item in replay(findings, load_all(), lambda locator: load_target(locator, call_timeout, python), reach):
        replays.append(item)
        if not as_json:
            _print(item)
    counts = Counter(item.status for item in replays)
    if as_json:
        click.echo(json.dumps({"source": str(source), "replays": [_json(item) for item in replays]}, indent=1))
    else:
        told = ", ".join(f"{counts[status]} {status}" for status in _COLOURS if counts[status])
        click.echo(f"{len(replays)} finding{'s' * (len(replays) != 1)} of {source}" + (f": {told}" if told else ""))
    raise SystemExit(1 if counts["FAILED"] else 2 if counts["ERROR"] else 0)


def recorded(what: str | None) -> tuple[Path, list[Finding]]:
    """Return the findings that a word of the command line names, and where they were recorded: see `command`.

    Raises:
      UsageError: there are none.
    """
    from samplerfuzz.report.recorded import newest_run, recorded_findings

    if what is not None and Path(what).exists():
        return Path(what), recorded_findings(Path(what))
    if what is not None and not re.fullmatch("[0-9a-f]{10}", what):
        raise UsageError(f"{what!r} is no file, no directory and no id of a finding (ten hexadecimal digits)")
    run = newest_run(_RUNS)
    findings = recorded_findings(run)
    if what is None:
        return run, findings
    named = [finding for finding in findings if finding.id == what]
    if not named:
        known = ", ".join(finding.id for finding in findings) or "none"
        raise UsageError(f"no finding {what!r} in {run}, the newest run; findings there: {known}; name its report directory otherwise")
    return run, named


def _print(item: Replay) -> None:
    from samplerfuzz.report.text import printable

    finding = item.finding
    status = click.style(item.status.ljust(6), fg=_COLOURS[item.status], bold=True)
    click.echo(f"{status}  {finding.id}  {finding.violation.check}  {printable(finding.target)}")
    click.echo(f"        {printable(item.message)}")


def _json(item: Replay) -> dict[str, str]:
    finding = item.finding
    return {
        "id": finding.id,
        "status": item.status,
        "check": finding.violation.check,
        "severity": finding.violation.severity,
        "target": finding.target,
        "message": item.message,
    }
