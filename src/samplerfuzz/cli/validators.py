"""`samplerfuzz fuzz validators`: the fuzzer turned on the validators of a policy."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from pathlib import Path

import click

from samplerfuzz.core.errors import NothingTestedError, UsageError

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


def fuzz_policy(file: Path | None, *, seconds: float, cases: int | None, seed: int | None, quiet: bool, as_json: bool) -> int:
    """Fuzz the policy in `file` (None: the shipped one) and all validators, and return the exit status.

    Raises:
      UsageError: the file is no policy, or a third party's validator cannot be loaded.
      NothingTestedError: there was no time for a case.
    """
    from samplerfuzz.safety.fuzzing.campaign import fuzz_validators
    from samplerfuzz.safety.pipeline import SamplingSafetyPipeline
    from samplerfuzz.safety.policy_file import load_policy

    policy = load_policy(file)
    seed = secrets.randbelow(2**31) if seed is None else seed
    validators = SamplingSafetyPipeline(policy=policy).validators
    outcome = fuzz_validators(
        policy,
        validators=validators,
        seed=seed,
        seconds=seconds,
        mixed=cases,
        found=(lambda finding: None) if as_json else lambda finding: click.echo(finding.text()),
    )
    if not outcome.cases:
        raise NothingTestedError(f"no configuration was thrown within {seconds:g} seconds; give --max-time more")
    status = 1 if outcome.findings else 0
    named = "the shipped policy" if file is None else str(file)
    if as_json:
        report = {
            "format": FORMAT,
            "policy": named,
            "seed": seed,
            "cases": outcome.cases,
            "seconds": round(outcome.seconds, 3),
            "validators": [validator.name for validator in validators],
            "findings": [finding.to_json() for finding in outcome.findings],
            "status": status,
        }
        click.echo(json.dumps(report, indent=1))
        return status
    if not quiet:
        click.echo(f"thrown at policy.decide and {', '.join(validator.name for validator in validators)}")
    found = f"{len(outcome.findings)} finding{'s' if len(outcome.findings) != 1 else ''}" if outcome.findings else "nothing found"
    click.echo(f"{named}: {found} in {outcome.cases} configurations, {outcome.seconds:.1f} s, seed {seed}")
    return status
