"""`samplerfuzz fuzz`: the main job."""

from __future__ import annotations

import atexit
import secrets
import signal
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

import samplerfuzz
from samplerfuzz.cli import baseline as known_findings
from samplerfuzz.cli import validators as validating
from samplerfuzz.cli.configuration import configuration
from samplerfuzz.cli.interpreter import python_option
from samplerfuzz.cli.resuming import digests, new_directory, refuse_another_run, refuse_changed_code, unfinished_run
from samplerfuzz.cli.seconds import Seconds
from samplerfuzz.cli.servers import Wanted, fuzz_servers, refuse_unsuited
from samplerfuzz.core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from samplerfuzz.targets.target import Target

_TARGETS = "samplerfuzz.targets"

_EXAMPLES = """
\b
Examples:
  samplerfuzz fuzz                                    the built-in samplers on the embedded model's logits
  samplerfuzz fuzz samplers.py:my_top_p               a function of yours
  samplerfuzz fuzz mypackage.sampling:sample --max-time 300 --seed 7
  samplerfuzz fuzz transformers vllm:top_p            released libraries (`samplerfuzz targets install transformers`)
  samplerfuzz fuzz http://127.0.0.1:8080              a server, OpenAI-compatible or llama.cpp's
  samplerfuzz fuzz http://127.0.0.1:8080 --start 'llama-server -m model.gguf --port 8080'
  samplerfuzz fuzz validators --policy policy.toml    what guards a deployment (`samplerfuzz policy`)
  samplerfuzz fuzz samplers.py:my_top_p --checks support,rows --json > report.json
  samplerfuzz fuzz --resume reports/nightly           a run that was killed or interrupted
  samplerfuzz fuzz --profile nightly                  an hour, fails on low findings too

\b
Nothing is lost when a run is killed: the same command with the same --report-dir goes on
with it, and so does --resume, which knows the command. Findings, counts, time and the error
budget are those of one run. A run that is finished stays as it is: `samplerfuzz replay`
runs its findings again, another --report-dir gets a new run.

\b
samplerfuzz.toml, or [tool.samplerfuzz] in pyproject.toml, sets targets and any option; a profile
(dev 20 s, ci 75 s, nightly 3600 s, or one of [profiles.NAME]) goes above it, the command line
above both. `samplerfuzz init` writes one.

\b
Exit status: 0 nothing found, 1 findings at or above --fail-on, 2 usage error,
3 nothing could be tested, 70 a bug of samplerfuzz itself, 130 interrupted.
"""


def _configure(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Make what the file and the profile say the defaults of the other options, whichever of the two is named first."""
    context.meta[f"samplerfuzz.{option.name}"] = value
    if {"samplerfuzz.config", "samplerfuzz.profile"} <= context.meta.keys():
        settings = configuration(settable(), context.meta["samplerfuzz.config"]).defaults(context.meta["samplerfuzz.profile"])
        context.meta[_TARGETS] = tuple(settings.pop("targets", ()))
        context.default_map = settings
    return value


@click.command(epilog=_EXAMPLES, context_settings={"ignore_unknown_options": False})
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    is_eager=True,
    callback=_configure,
    help="Settings from this file (default: samplerfuzz.toml or pyproject.toml here).",
)
@click.option(
    "--profile", metavar="NAME", is_eager=True, callback=_configure, help="dev, ci, nightly, or a profile of the project's own file."
)
@click.option(
    "--max-time",
    type=Seconds(),
    default=75.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for the targets together; loading what they need comes on top.",
)
@click.option("--max-cases", type=click.IntRange(min=1), default=None, metavar="N", help="Stop after N (row, configuration) pairs.")
@click.option("--seed", type=click.IntRange(min=0), default=None, metavar="N", help="Seed of the run (default: random, printed).")
@click.option("--checks", default="", metavar="IDS", help="Only these checks or kinds, separated by commas.")
@click.option("--exclude-checks", default="", metavar="IDS", help="Not these checks or kinds.")
@click.option(
    "--fail-on",
    type=click.Choice(["low", "medium", "high", "critical"]),
    default="medium",
    show_default=True,
    help="Lowest severity that makes the exit status 1.",
)
@click.option(
    "--report-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Where the report goes (default: reports/<run>; of validators: nowhere).",
)
@click.option(
    "--resume",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    metavar="DIR",
    help="Go on with the unfinished run in DIR; its targets and options hold, but for those given.",
)
@click.option(
    "--call-timeout",
    type=Seconds(),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="A call of the target that takes longer is a hang; its process is killed if need be.",
)
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    metavar="FILE",
    help="Known findings, which do not count for the exit status (default: fuzz/baseline.json where it exists).",
)
@click.option("--no-baseline", is_flag=True, help="Every finding counts.")
@click.option(
    "--corpus",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    metavar="DIR",
    help="Throw the cases kept there first, and keep those that meet new behaviour.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that fuzz side by side: several targets, or parts of one.",
)
@python_option
@click.option("--allow-network", is_flag=True, help="Fuzz a server on another machine too (default: on this one only).")
@click.option(
    "--start",
    default=None,
    metavar="COMMAND",
    help="Start the server with this command, and again whenever a request ends it; its output goes to server.log.",
)
@click.option("--max-rate", type=click.IntRange(min=1), default=None, metavar="N", help="At most N requests a second to a server.")
@click.option(
    "--policy",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    metavar="FILE",
    help="The policy whose validators are fuzzed.",
)
@click.option("--no-shrink", is_flag=True, help="Report findings as they were met.")
@click.option("--no-model", is_flag=True, help="Leave out the logits of the embedded model.")
@click.option("--quiet", is_flag=True, help="Print findings and one line only.")
@click.option("--json", "as_json", is_flag=True, help="Print report.json to standard output and nothing else.")
@click.pass_context
def command(
    context: click.Context,
    targets: tuple[str, ...],
    config: Path | None,
    profile: str | None,
    max_time: float,
    max_cases: int | None,
    seed: int | None,
    checks: str,
    exclude_checks: str,
    fail_on: str,
    report_dir: Path | None,
    resume: Path | None,
    call_timeout: float,
    baseline: Path | None,
    no_baseline: bool,
    corpus: Path | None,
    workers: int,
    python: str | None,
    allow_network: bool,
    start: str | None,
    max_rate: int | None,
    policy: Path | None,
    no_shrink: bool,
    no_model: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Find out whether a sampler does what its parameters promise.

    TARGET is a plain function, FILE.py:NAME or package.module:NAME: its first argument is logits [B, V], the others are
    known by name (temperature, top_k, top_p, min_p, typical_p, top_n_sigma, history, seed, u, ...). It may be a released
    library, too, all of it or one function (`transformers`, `transformers:top_p`, `transformers==5.23.0`); `samplerfuzz
    targets ls` lists them; or the URL of a server. Without a target the built-in samplers are tested, `builtin:NAME` tests one of them;
    `validators` are those of --policy, held against their ranges.
    """
    from rich.console import Console

    from samplerfuzz.engine.campaign import Limits
    from samplerfuzz.engine.interrupts import Interrupts
    from samplerfuzz.engine.run import run, select_checks
    from samplerfuzz.report import reporters
    from samplerfuzz.targets import builtin
    from samplerfuzz.targets.http.locators import is_url
    from samplerfuzz.targets.opening import expanded, open_target

    if resume is not None and report_dir is not None:
        raise UsageError(f"--resume {resume} writes its report there; leave out --report-dir {report_dir}")
    if not targets and resume is None:
        targets = context.meta[_TARGETS]
    if validating.TARGET in targets:
        meant = ("targets", "max_time", "max_cases", "seed", "policy", "report_dir", "quiet", "as_json")
        validating.refuse_unsuited(targets, [name for name in context.params if name not in meant and _is_given(context, name)])
        seconds = validating.SECONDS if context.get_parameter_source("max_time") is ParameterSource.DEFAULT else max_time
        raise SystemExit(
            validating.fuzz_policy(policy, seconds=seconds, cases=max_cases, seed=seed, directory=report_dir, quiet=quiet, as_json=as_json)
        )
    if policy is not None:
        raise UsageError(f"--policy {policy} means something to {validating.TARGET} only; name that target, or leave it out")
    known = known_findings.read(baseline, wanted=not no_baseline)
    urls = [target for target in targets if is_url(target)]
    if urls:
        refuse_unsuited(targets, urls, {"--resume": resume is not None, "--python": python is not None})
        wanted_of_servers = Wanted(
            urls=urls,
            checks=_names(checks),
            excluded=_names(exclude_checks),
            max_time=max_time,
            max_cases=max_cases,
            seed=seed,
            fail_on=fail_on,
            directory=report_dir,
            call_timeout=call_timeout,
            workers=workers,
            max_rate=max_rate,
            start=start,
            allow_network=allow_network,
            accepted=known.accepted(datetime.now(UTC).date()),
            quiet=quiet,
            as_json=as_json,
        )
        raise SystemExit(fuzz_servers(wanted_of_servers))
    if start is not None:
        raise UsageError(f"--start {start!r} means something to a server only; name its URL too, such as http://127.0.0.1:8080")
    directory = resume or report_dir
    log, past = (None, None) if directory is None else unfinished_run(directory)
    if resume is not None and past is None:
        raise UsageError(f"{resume} holds no run to resume; name the directory that holds its events.jsonl")
    options: dict[str, Any] = {
        "max_time": max_time,
        "max_cases": max_cases,
        "fail_on": fail_on,
        "call_timeout": call_timeout,
        "python": python,
        "shrink": not no_shrink,
        "model": not no_model,
    }
    chosen = select_checks(_names(checks), _names(exclude_checks))
    if directory is not None and past is not None:
        refuse_another_run(directory, past, {"samplerfuzz": samplerfuzz.__version__})
        recorded = past.started.settings
        if resume is not None:
            targets = targets or past.started.targets
            chosen = chosen if checks or exclude_checks else select_checks(recorded["checks"], [])
            options |= {name: recorded[name] for name in options if not _is_given(context, name)}
        targets, _ = expanded(targets, call_timeout=options["call_timeout"], python=options["python"])
        wanted = {"targets": list(targets or builtin.names()), "checks": [c.id for c in chosen], "seed": seed}
        refuse_another_run(directory, past, {name: value for name, value in wanted.items() if value is not None})
        seed = recorded["seed"]
    with Interrupts() as interrupts:
        targets, lacks = expanded(targets, call_timeout=options["call_timeout"], python=options["python"])
        loaded = [load_target(locator, options["call_timeout"], options["python"]) for locator in targets or builtin.names()]
        interrupts.check()
    sources = digests(targets)
    if directory is not None and past is not None:
        refuse_changed_code(directory, past, sources)
    started = datetime.fromisoformat(past.started.settings["started"]) if past else datetime.now().astimezone()
    with reporters(
        directory or new_directory(started),
        console=Console(stderr=as_json),
        quiet=quiet,
        as_json=as_json,
        started=started,
        log=log,
        past=past,
        keep=corpus,
    ) as listener:
        status = run(
            loaded,
            checks=chosen,
            seed=secrets.randbelow(2**31) if seed is None else seed,
            limits=Limits(seconds=options["max_time"], cases=options["max_cases"], shrink=options["shrink"]),
            fail_on=options["fail_on"],
            listener=listener,
            real_rows=_model_rows if options["model"] else lambda: None,
            settings={
                **options,
                "samplerfuzz": samplerfuzz.__version__,
                "started": started.isoformat(timespec="seconds"),
                "sources": sources,
                "lacks": lacks,
            },
            past=past,
            accepted=known.accepted(datetime.now(UTC).date()),
            corpus=corpus,
            workers=workers,
            open_target=partial(open_target, call_timeout=options["call_timeout"], python=options["python"]),
        )
    # everything is written: an interrupt while the interpreter takes itself down has nothing to stop
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(status)


def _is_given(context: click.Context, name: str) -> bool:
    parameter = {"shrink": "no_shrink", "model": "no_model"}.get(name, name)
    return context.get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def settable() -> list[str]:
    """Return the names of the options that a project's file may set."""
    return [p.name for p in command.params if isinstance(p, click.Option) and p.name and p.name not in ("config", "profile", "resume")]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def load_target(locator: str, call_timeout: float, python: str | None = None) -> Target:
    """Return the target that `locator` names on the command line, closed at the end of the command.

    A call that takes longer than `call_timeout` seconds is a hang; `python` is the interpreter of a library.
    """
    from samplerfuzz.targets.opening import close, open_target

    target = open_target(locator, call_timeout=call_timeout, python=python)
    click.get_current_context().call_on_close(partial(close, target))
    return target


def _model_rows() -> np.ndarray:
    from samplerfuzz.cases.real import model_rows

    return model_rows()
