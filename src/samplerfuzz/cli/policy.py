"""`samplerfuzz policy check FILE | show [FILE] | init [FILE] | profile FILE...`."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    from samplerfuzz.safety.policy import Policy

_FILE = "samplerfuzz-policy.toml"
EPILOG = """\
\b
Examples:
  samplerfuzz policy init                          writes samplerfuzz-policy.toml, the shipped policy with comments
  samplerfuzz policy init --for http://127.0.0.1:8080    says which engine that is, and what its log-probabilities are
  samplerfuzz policy check samplerfuzz-policy.toml
  samplerfuzz policy show samplerfuzz-policy.toml
  samplerfuzz policy show --json
  samplerfuzz policy profile statistics/*.json --output profile.json

\b
A policy is TOML or YAML; what it leaves out is as shipped: temperature 0 to 2, top_k 0 to 100,
top_p 0.1 to 1, every other parameter where it means something, and a value outside is rejected.
`samplerfuzz fuzz validators --policy FILE` throws the edges of every parameter at it.
"""


@click.group(epilog=EPILOG)
def command() -> None:
    """Write, check or show what a deployment may be asked for, and the baseline that it names."""


@command.command("check")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def check_policy(file: Path) -> None:
    """Check FILE, and the registry and the profile that it names; an error names file, line and key (exit status 2)."""
    from samplerfuzz.probe.census.registry import load_registry
    from samplerfuzz.safety.bounds import default_bounds
    from samplerfuzz.safety.policy_file import load_policy
    from samplerfuzz.safety.profile import load_profile

    policy = load_policy(file)
    parts = []
    changed = sum(policy.parameters[name] != bound for name, bound in default_bounds().items())
    parts.append(f"{changed} of {len(policy.parameters)} ranges differ from the shipped ones")
    if policy.registry is not None:
        parts.append(f"{len(load_registry(policy.registry).tokens)} anomalous tokens")
    if policy.profile is not None:
        parts.append(f"a profile of {len(load_profile(policy.profile).texts)} texts")
    click.echo(f"{file}: a policy; {', '.join(parts)}")


@command.command("show")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show_policy(file: Path | None, as_json: bool) -> None:
    """Show what the policy in FILE (default: the shipped one) comes to."""
    from samplerfuzz.safety.policy_file import load_policy

    policy = load_policy(file)
    if as_json:
        click.echo(json.dumps(_as_json(policy), indent=1))
        return
    from samplerfuzz.safety.bounds import number_text

    for name, value in _settings(policy).items():
        click.echo(f"{name:<28}{'-' if value is None else value}")
    click.echo()
    rows = [("parameter", "min", "max", "default", "action")]
    for name, bound in policy.parameters.items():
        default = "-" if bound.default is None else number_text(bound.default)
        rows.append((name, number_text(bound.minimum), number_text(bound.maximum), default, bound.action))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@command.command("init")
@click.argument("file", default=_FILE, type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option(
    "--for", "url", metavar="URL", help="Ask the server at URL a few ordinary requests: which engine it is, what its log-probabilities are."
)
@click.option("--allow-network", is_flag=True, help="With --for: a server on another machine.")
def write_policy(file: Path, force: bool, url: str | None, allow_network: bool) -> None:
    """Write the shipped policy to FILE (default: samplerfuzz-policy.toml; - is standard output), with comments."""
    from samplerfuzz.safety.policy_text import default_text

    to_stdout = str(file) == "-"
    if not to_stdout and file.suffix != ".toml":
        raise UsageError(f"{file}: what is written is TOML; give a name that ends in .toml")
    if not to_stdout and not force and file.exists():
        raise UsageError(f"{file} is there already; --force writes over it")
    text = default_text(**({} if url is None else _measured(url, allow_network)))
    if to_stdout:
        click.echo(text, nl=False)
        return
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(f"{file} is there already; --force writes over it") from None
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
    click.echo(f"wrote {file}; edit it, then `samplerfuzz policy check {file}`")


def _measured(url: str, allow_network: bool) -> dict[str, Any]:
    """Return what a server is, for a policy; what was measured goes to standard error.

    Raises:
      UsageError: nothing there completes a prompt, or it is on another machine and may not be asked.
    """
    from samplerfuzz.safety.policy import MEANINGS, UNKNOWN
    from samplerfuzz.targets.http.client import Client
    from samplerfuzz.targets.http.locators import checked_url
    from samplerfuzz.targets.http.probe import probe

    with contextlib.closing(Client(checked_url(url, allow_network=allow_network), seconds=60.0)) as client:
        found = probe(client)
    meanings = set(found.meaning.values())
    meaning = meanings.pop() if len(meanings) == 1 else UNKNOWN
    told = {"dialect": found.engine, "logprobs_are": meaning if meaning in MEANINGS else UNKNOWN}
    click.echo(f"{url}: {found.engine or 'an engine that does not say its name'}", err=True)
    for endpoint, measured in found.meaning.items():
        click.echo(f"  {endpoint} log-probabilities: {measured}", err=True)
    return told


@command.command("profile")
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--output", default="profile.json", show_default=True, type=click.Path(dir_okay=False, path_type=Path), help="Where it goes.")
def make_profile(files: tuple[Path, ...], output: Path) -> None:
    """Make the baseline of a model from FILES: statistics of ordinary texts as JSON (an object with model and steps), or profiles, merged."""
    from samplerfuzz.safety.profile import read_profile_of
    from samplerfuzz.safety.validators.distribution import ALPHA

    profile = read_profile_of(files)
    try:
        output.write_text(json.dumps(profile.to_json(), allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from error
    wanted = round(1 / ALPHA) - 1
    enough = "" if len(profile.texts) >= wanted else f"; an alarm at {ALPHA:g} takes at least {wanted}"
    click.echo(f"wrote {output}: {len(profile.texts)} texts of {profile.model or 'a model without a name'}{enough}")


def _settings(policy: Policy) -> dict[str, Any]:
    return {
        "allow_negative_temperature": policy.allow_negative_temperature,
        "unknown": policy.unknown,
        "add_defaults": policy.add_defaults,
        "dialect": policy.dialect,
        "registry": None if policy.registry is None else str(policy.registry),
        "profile": None if policy.profile is None else str(policy.profile),
        "sampling_rate": policy.sampling_rate,
        "on_error": policy.on_error,
        "logprobs": policy.logprobs,
        "logprobs_are": policy.logprobs_are,
    }


def _as_json(policy: Policy) -> dict[str, Any]:
    bounds = {
        name: {"min": bound.minimum, "max": bound.maximum, "default": bound.default, "action": bound.action}
        for name, bound in policy.parameters.items()
    }
    return {**_settings(policy), "parameters": bounds}
