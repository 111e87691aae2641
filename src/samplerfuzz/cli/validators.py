"""`samplerfuzz fuzz validators`: the fuzzer turned on the validators of a policy."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

import samplerfuzz
from samplerfuzz.core.errors import NothingTestedError, UsageError

if TYPE_CHECKING:
    from samplerfuzz.safety.fuzzing.campaign import ValidatorFinding

TARGET = "validators"
FORMAT = "samplerfuzz validators 1"
SECONDS = 10.0  # every edge takes a few; what is left are mixtures


def refuse_unsuited(targets: Collection[str], given: Collection[str]) -> None:
    """Make sure that a run on validators is asked for nothing that it cannot do.

    Raises:
      UsageError: another target beside them, or an option of samplers.
    """
    others = [target for target in targets if target != TARGET]
    if others:
        raise UsageError(f"{others[0]} is a sampler, and {TARGET} are none; fuzz them in two runs")
    if given:
        raise UsageError(f"--{sorted(given)[0].replace('_', '-')} means nothing to validators; leave it out")


def fuzz_policy(
    file: Path | None, *, seconds: float, cases: int | None, seed: int | None, directory: Path | None, quiet: bool, as_json: bool
) -> int:
    """Fuzz the policy in `file` (None: the shipped one) and all validators, and return the exit status.

    Args:
      file: of the policy.
      seconds: time to throw in.
      cases: mixtures; None: as many as the time allows.
      seed: of the mixtures; None: a random one.
      directory: where the report goes; None: nowhere.
      quiet: print findings and one line only.
      as_json: print report.json and nothing else.

    Raises:
      UsageError: the file is no policy, a third party's validator cannot be loaded, or the report cannot be written.
      NothingTestedError: there was no time for a case.
    """
    from samplerfuzz.report.files import make_directory
    from samplerfuzz.safety.fuzzing.campaign import DECIDING, fuzz_validators
    from samplerfuzz.safety.pipeline import SamplingSafetyPipeline
    from samplerfuzz.safety.policy_file import load_policy

    policy, started = load_policy(file), datetime.now().astimezone()
    if directory is not None:
        make_directory(directory)
    seed = secrets.randbelow(2**31) if seed is None else seed
    validators = SamplingSafetyPipeline(policy=policy).validators
    with _progress(seconds, wanted=not quiet and not as_json) as thrown:
        outcome = fuzz_validators(
            policy,
            validators=validators,
            seed=seed,
            seconds=seconds,
            mixed=cases,
            found=(lambda finding: None) if as_json else lambda finding: click.echo(finding.text()),
            thrown=thrown,
        )
    if not outcome.cases:
        raise NothingTestedError(f"no configuration was thrown within {seconds:g} seconds; give --max-time more")
    status = 1 if outcome.findings else 0
    named = "the shipped policy" if file is None else str(file)
    subjects = [DECIDING, *(validator.name for validator in validators)]
    report = {
        "format": FORMAT,
        "samplerfuzz": samplerfuzz.__version__,
        "started": started.isoformat(timespec="seconds"),
        "policy": named,
        "seed": seed,
        "cases": outcome.cases,
        "seconds": round(outcome.seconds, 3),
        "subjects": subjects,
        "validators": subjects[1:],
        "findings": [{**finding.to_json(), "reproducer": _reproducer(directory, finding, file)} for finding in outcome.findings],
        "status": status,
    }
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    if directory is not None:
        from samplerfuzz.report.validators import write_report

        write_report(directory, report, text)
    if as_json:
        click.echo(text, nl=False)
        return status
    if not quiet:
        click.echo(f"thrown at {', '.join(subjects)}")
    found = f"{len(outcome.findings)} finding{'s' if len(outcome.findings) != 1 else ''}" if outcome.findings else "nothing found"
    where = "" if directory is None else f"; report in {directory}"
    click.echo(f"{named}: {found} in {outcome.cases} configurations, {outcome.seconds:.1f} s, seed {seed}{where}")
    return status


def _reproducer(directory: Path | None, finding: ValidatorFinding, file: Path | None) -> str | None:
    if directory is None:
        return None
    from samplerfuzz.report.validators import write_reproducer
    from samplerfuzz.safety.fuzzing.again import broken_again

    policy = None if file is None else str(file)
    return write_reproducer(directory, finding, file, lambda config: bool(broken_again(policy, finding.subject, finding.claim, config)))


@contextlib.contextmanager
def _progress(seconds: float, *, wanted: bool) -> Iterator[Callable[[int, float], None]]:
    """Show on a terminal how far the run is, and take it off the screen at the end."""
    console = Console(stderr=True)
    if not (wanted and console.is_terminal):
        yield lambda cases, passed: None
        return
    with console.status("throwing") as shown:
        yield lambda cases, passed: shown.update(f"{cases:,} configurations, {passed:.0f} of {seconds:g} s")
