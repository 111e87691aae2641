"""`samplerfuzz targets ls | install NAME[==VERSION] | doctor NAME[==VERSION] | remove NAME[==VERSION]`."""

from __future__ import annotations

import json

import click

from samplerfuzz.cli.interpreter import python_option

EPILOG = """\
\b
Examples:
  samplerfuzz targets ls
  samplerfuzz targets install transformers
  samplerfuzz targets install transformers==5.20.0      another version, side by side
  samplerfuzz targets doctor transformers
  samplerfuzz targets remove transformers==5.20.0
  samplerfuzz fuzz transformers --python ~/.venv/bin/python   an interpreter of yours

\b
Each version gets a virtual environment of its own in the user's cache directory, or in
$SAMPLERFUZZ_CACHE/targets. An install that was broken off goes on where it was.
"""


@click.group(epilog=EPILOG)
def command() -> None:
    """Install, try or remove released libraries as targets."""


@command.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_libraries(as_json: bool) -> None:
    """List the libraries, the version tried, what is installed and what their adapters test."""
    from samplerfuzz.targets.libraries.adapter import adapter_file, functions_of
    from samplerfuzz.targets.libraries.environments import everything

    rows = [
        {
            "name": library.name,
            "tried": library.version,
            "installed": [item.version for item in there],
            "megabytes": library.size,
            "tested at every push": library.every_push,
            "targets": functions_of(adapter_file(library.name)),
        }
        for library, there in everything()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    width = max(len(str(row["name"])) for row in rows)
    for (library, there), row in zip(everything(), rows, strict=True):
        here = f"here: {', '.join(item.version for item in there)}" if there else f"not installed, about {library.size} MB"
        click.echo(f"{library.name.ljust(width)}  {library.version.ljust(8)}  {len(row['targets']):>3} targets  {here}")  # type: ignore[arg-type]
    click.echo("`samplerfuzz targets install NAME`, then `samplerfuzz fuzz NAME`")


@command.command("install")
@click.argument("names", metavar="NAME[==VERSION]...", nargs=-1, required=True)
def install_libraries(names: tuple[str, ...]) -> None:
    """Make an interpreter with a library; nothing to do where there is one."""
    from samplerfuzz.targets.libraries.environments import install

    for name in names:
        library, version = _named(name)
        install(library, version, click.echo)


@command.command("remove")
@click.argument("name", metavar="NAME[==VERSION]")
def remove_library(name: str) -> None:
    """Delete the interpreter of a version, or those of all versions."""
    from samplerfuzz.targets.libraries.environments import remove

    for gone in remove(*_named(name)):
        click.echo(f"removed {gone.library.name} {gone.version}: {gone.directory}")


@command.command("doctor")
@click.argument("name", metavar="NAME[==VERSION]")
@python_option
def try_library(name: str, python: str | None) -> None:
    """Import a library in its interpreter and call every function of its adapter once; exit 1 where one gives no answer."""
    import numpy as np

    from samplerfuzz.cases import Generator
    from samplerfuzz.targets.libraries.opening import Named, host_of

    library, version = _named(name)
    host = host_of(Named(library=library, version=version, function=None), python=python)
    click.get_current_context().call_on_close(host.close)
    click.echo(f"ok    {host.specs[0].version if host.specs else name}, {host.source.python}")
    failed = False
    for target in host.targets():
        spec = target.spec
        generator = Generator(parameters=spec.parameters, inputs=spec.inputs, per_row=spec.per_row)
        outcome = target.run(generator.case(np.random.default_rng(0), rows=2, size=8, strategy="ordinary", regime="normal"))
        fine = outcome.kind == "value"
        failed |= not fine
        takes = ", ".join([*spec.parameters, *sorted(spec.inputs)])
        click.echo(f"{'ok  ' if fine else 'FAIL'}  {spec.name}({takes}): {outcome.form if fine else f'{outcome.kind}: {outcome.message}'}")
    for locator, why in host.lacks.items():
        click.echo(f"--    {locator.partition(':')[2]}: {why}")
    raise SystemExit(1 if failed else 0)


def _named(name: str):  # type: ignore[no-untyped-def]
    from samplerfuzz.core.errors import UsageError
    from samplerfuzz.targets.libraries.catalog import find_library

    library, pinned, version = name.partition("==")
    if pinned and not version:
        raise UsageError(f"{name!r}: expected a version after ==, for example {library}=={find_library(library).version}")
    return find_library(library), version or None
