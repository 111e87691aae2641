"""`samplerfuzz doctor`: does everything work on this machine, and with which versions."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

import samplerfuzz

_EXAMPLES = """\
\b
Examples:
  samplerfuzz doctor
  samplerfuzz doctor --json > doctor.json

\b
Exit status: 0 everything works, 1 something does not.
"""

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "numpy",
    "scipy",
    "hypothesis",
    "pydantic",
    "pyyaml",
    "rich",
    "click",
    "gguf",
    "safetensors",
    "tokenizers",
)
_SAMPLER = """
import samplerfuzz as sf

@sf.target(order=["top_k"], returns="logits")
def sample(logits, top_k):
    return logits
"""


@dataclass(frozen=True)
class Result:
    """One thing that was tried. `what` it is, whether it `works`, and the `detail` that was seen."""

    what: str
    works: bool
    detail: str


@click.command(epilog=_EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(as_json: bool) -> int:
    """Try everything that a run needs, and say what does not work."""
    results = []
    for what, attempt in ATTEMPTS.items():
        try:
            results.append(Result(what, True, attempt()))
        except Exception as error:  # whatever it is: telling it is the point
            results.append(Result(what, False, f"{type(error).__name__}: {error}"))
        if not as_json:
            _show(results[-1])
    broken = [r.what for r in results if not r.works]
    if as_json:
        click.echo(json.dumps({"samplerfuzz": samplerfuzz.__version__, "results": [asdict(r) for r in results]}, indent=1))
    else:
        click.echo(f"does not work: {', '.join(broken)}" if broken else "everything works")
    return 1 if broken else 0


def _show(result: Result) -> None:
    mark = click.style("ok  ", fg="green") if result.works else click.style("FAIL", fg="red", bold=True)
    first, *rest = result.detail.splitlines() or [""]
    click.echo(f"{mark}  {result.what:<15} {first}")
    for line in rest:
        click.echo(f"{'':<22}{line}")


def _python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}, samplerfuzz {samplerfuzz.__version__}"


def _machine() -> str:
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory()
    return f"{cores} cores, {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB memory free"


def _packages() -> str:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            raise ModuleNotFoundError(f"{name} is not installed; pip install --upgrade samplerfuzz") from None
    return ", ".join(found)


def _configuration() -> str:
    from samplerfuzz.cli.configuration import configuration
    from samplerfuzz.cli.fuzz import settable

    found = configuration(settable())
    if found.path is None:
        return "none here (samplerfuzz.toml or [tool.samplerfuzz]); `samplerfuzz init` writes one"
    return f"{found.path}: {len(found.options.get('targets', []))} targets; profiles {', '.join(found.profiles)}"


def _devices() -> str:
    import jax

    return ", ".join(f"{d.platform}:{d.id} {d.device_kind}" for d in jax.devices())


def _samplers() -> str:
    import jax
    import jax.numpy as jnp

    from samplerfuzz.samplers import apply, draw

    begun = time.perf_counter()
    order = ("temperature", "top_k", "top_p")
    logits = apply(order, {"temperature": 0.8, "top_k": 2, "top_p": 0.9}, jnp.array([[1.0, 3.0, 2.0, 0.0]]))
    token = int(draw(jax.random.key(0), logits)[0][0])
    if token not in (1, 2):
        raise AssertionError(f"top-k 2 of [1, 3, 2, 0] drew token {token}")
    return f"a chain compiles and draws: {time.perf_counter() - begun:.1f} s"


def _worker() -> str:
    from samplerfuzz.engine.campaign import Limits
    from samplerfuzz.engine.run import run, select_checks
    from samplerfuzz.targets.isolated import load_target

    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "sampler.py"
        file.write_text(_SAMPLER, encoding="utf-8")
        target = load_target(f"{file}:sample")
        try:
            # it never cuts: the first ordinary case shows it
            status = run(
                [target],
                checks=select_checks(["support"], []),
                seed=1,
                limits=Limits(seconds=20, cases=2000, shrink=False),
                fail_on="low",
                listener=lambda event: None,
            )
        finally:
            target.close()
    if status != 1:
        raise AssertionError(f"a sampler that is wrong came out with status {status}")
    return f"a worker process runs, and a wrong sampler is found out: {time.perf_counter() - begun:.1f} s"


def _model() -> str:
    from samplerfuzz.cases.real import model_rows

    rows = model_rows()
    return f"the embedded LLaMA gives {rows.shape[0]} rows of {rows.shape[1]} logits"


def _cache() -> str:
    from samplerfuzz.llama.models import cache_dir

    directory = cache_dir()
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=directory):
        pass
    return f"{directory}, {shutil.disk_usage(directory).free / 2**30:.1f} GiB free"


def _here() -> str:
    with tempfile.NamedTemporaryFile(dir="."):
        pass
    return f"reports/ can be written here, {shutil.disk_usage('.').free / 2**30:.1f} GiB free"


def _terminal() -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "unknown"
    return f"{'a terminal' if sys.stdout.isatty() else 'no terminal'}, {encoding}, {shutil.get_terminal_size().columns} columns"


ATTEMPTS: dict[str, Callable[[], str]] = {
    "python": _python,
    "machine": _machine,
    "packages": _packages,
    "terminal": _terminal,
    "configuration": _configuration,
    "directory": _here,
    "cache": _cache,
    "devices": _devices,
    "samplers": _samplers,
    "model": _model,
    "worker": _worker,
}
