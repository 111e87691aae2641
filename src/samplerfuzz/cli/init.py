"""`samplerfuzz init`: the files that put samplerfuzz into a project and its CI."""

from __future__ import annotations

import json
from pathlib import Path

import click

from samplerfuzz.core.errors import UsageError

_EXAMPLES = """\
\b
Examples:
  samplerfuzz init --target src/mylib/sampling.py:sample
  samplerfuzz init --target mylib.sampling:top_p --target mylib.sampling:draw --no-workflow
"""

CONFIGURATION = """\
# Settings of `samplerfuzz fuzz`; `samplerfuzz fuzz --help` names them all.
targets = {targets}
profile = "dev"

# A profile is chosen with --profile; dev, ci and nightly are there already and can be changed.
[profiles.ci]
max-time = 75
fail-on = "medium"

[profiles.nightly]
max-time = 3600
fail-on = "low"
"""

WORKFLOW = """\
name: samplerfuzz

on:
  pull_request:
  push:
    branches: [main]
  schedule:
    - cron: "17 3 * * *"

permissions:
  contents: read
  security-events: write

jobs:
  fuzz:
    runs-on: ubuntu-latest
    timeout-minutes: 90
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
          cache: pip
      - run: pip install samplerfuzz
      # what the samplers need:
      # - run: pip install .
      - run: samplerfuzz fuzz --profile ${{ github.event_name == 'schedule' && 'nightly' || 'ci' }} --report-dir reports/ci
      - if: always()
        uses: actions/upload-artifact@v4
        with:
          name: samplerfuzz
          path: reports/ci
      - if: always() && hashFiles('reports/ci/sarif.json') != ''
        uses: github/codeql-action/upload-sarif@v3
        with:
          sarif_file: reports/ci/sarif.json
"""

_WORKFLOW_FILE = Path(".github/workflows/samplerfuzz.yml")
_CONFIGURATION_FILE = Path("samplerfuzz.toml")


@click.command(epilog=_EXAMPLES)
@click.option("--target", "targets", multiple=True, metavar="TARGET", help="FILE.py:NAME or package.module:NAME; may be repeated.")
@click.option("--no-workflow", is_flag=True, help="Write no GitHub Actions workflow.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def command(targets: tuple[str, ...], no_workflow: bool, force: bool) -> None:
    """Write samplerfuzz.toml and a GitHub Actions workflow into the working directory; nothing that is there is overwritten."""
    from samplerfuzz.report.files import write_atomically

    if wrong := next((t for t in targets if not all(t.rpartition(":"))), None):
        raise UsageError(f"{wrong!r} names no target; write FILE.py:NAME or package.module:NAME")
    files = {_CONFIGURATION_FILE: CONFIGURATION.format(targets=json.dumps(list(targets)))}
    if not no_workflow:
        files[_WORKFLOW_FILE] = WORKFLOW
    there = [path for path in files if path.exists()]
    if there and not force:
        raise UsageError(f"{' and '.join(map(str, there))} exist{'s' * (len(there) == 1)} already; --force overwrites")
    for path, text in files.items():
        click.echo(f"wrote {write_atomically(path, text)}")
    click.echo("next: samplerfuzz fuzz" if targets else "next: name your samplers in samplerfuzz.toml (targets), then samplerfuzz fuzz")
