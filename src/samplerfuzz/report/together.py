"""One offline page of whatever there is of a deployment: a fuzz run, a probe of its model, the log of its guard."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
import pydantic

import samplerfuzz
from samplerfuzz.core.errors import UsageError
from samplerfuzz.report.guard_log import ACTIONS, GuardLog, read_guard_log
from samplerfuzz.report.pages import template
from samplerfuzz.report.probe.page import PAGE, SECTIONS, of_this_version, probe_parts, read_sections
from samplerfuzz.report.probe.plots import INSTALL, svg
from samplerfuzz.report.schema import Report
from samplerfuzz.report.text import compact, count, number, printable

_WANTED = "expected a run's directory (with report.json), a probe's (with atlas.json, census.json, replication.json or batch.json), or a guard's audit log (.jsonl)"
_ORDER = ("critical", "high", "medium", "low")


@dataclass(frozen=True, kw_only=True)
class Together:
    """What was found at the sources: (path, content) of each."""

    runs: list[tuple[Path, Report]] = field(default_factory=list)
    probes: list[tuple[Path, dict[str, dict[str, Any]]]] = field(default_factory=list)
    log: GuardLog | None = None

    @property
    def findings(self) -> int:
        """How many findings of all runs are new."""
        return sum(not finding.known for _, report in self.runs for finding in report.findings)

    @property
    def broken(self) -> bool:
        """Whether a law of temperature is broken in a probe."""
        return any(not sections["atlas"]["laws_hold"] for _, sections in self.probes if "atlas" in sections)


def gather(sources: Sequence[Path]) -> Together:
    """Read what lies at each source.

    Raises:
      UsageError: nothing that can be shown lies there, or it cannot be read.
    """
    found, logs = Together(), []
    for source in sources:
        if source.is_file() and source.name == "report.json":
            source = source.parent
        if source.is_dir():
            sections = read_sections(source)
            if (source / "report.json").is_file():
                found.runs.append((source, _report(source / "report.json")))
            elif sections:
                found.probes.append((source, sections))
            else:
                raise UsageError(f"{source}: {_WANTED}")
        elif source.is_file():
            logs.append(source)
        else:
            raise UsageError(f"{source}: there is no such file or directory; {_WANTED}")
    return Together(runs=found.runs, probes=found.probes, log=read_guard_log(logs) if logs else None)


def together_page(found: Together, out: Path) -> str:
    """Return the page, with links from where `out` lies to the reports it is made of.

    Raises:
      UsageError: a probe was written by another version.
    """
    with of_this_version(path for path, _ in found.probes):
        return _page(found, out)


def _page(found: Together, out: Path) -> str:
    def link(path: Path) -> str:
        return quote(os.path.relpath(path, out.parent).replace(os.sep, "/"))

    return _template().render(
        version=samplerfuzz.__version__,
        bad=found.findings > 0 or found.broken,
        findings=found.findings,
        runs=[
            {
                "report": report,
                "link": link(path / "report.html"),
                "ordered": sorted(report.findings, key=lambda finding: (bool(finding.known), _ORDER.index(finding.severity))),
                "pairs": sum(target.pairs for target in report.targets),
                "draws": sum(target.draws for target in report.targets),
            }
            for path, report in found.runs
        ],
        probes=[
            {
                "link": link(path / PAGE),
                "sections": {name: sections.get(name) for name in SECTIONS},
                "model": next(iter(sections.values()))["model"],
                "parts": probe_parts(sections),
            }
            for path, sections in found.probes
        ],
        log=found.log,
        log_plot=svg(_requests, found.log) if found.log else "",
        actions=ACTIONS,
        install=INSTALL,
        number=number,
        shown=12,
    )


def _requests(axis: Any, log: GuardLog) -> None:
    edges, counts = log.buckets()
    colours = {"accept": "tab:green", "flag": "tab:blue", "clamp": "tab:orange", "reject": "tab:red"}
    base = np.zeros(len(edges) - 1)
    for action, requests in counts.items():
        axis.bar(edges[:-1], requests, width=edges[1] - edges[0], bottom=base, align="edge", color=colours[action], alpha=0.8, label=action)
        base = base + requests
    axis.set(xlabel="seconds from the first request", ylabel="requests", xlim=(0, edges[-1]))
    axis.legend(fontsize=8, framealpha=0)


def _report(file: Path) -> Report:
    try:
        text = file.read_text(encoding="utf-8")
        if '"format": "samplerfuzz validators' in text[:100]:
            raise UsageError(f"{file}: a run on validators has a page of its own, {file.with_name('report.html')}; leave it out")
        return Report.model_validate_json(text)
    except (OSError, ValueError) as error:
        told = f"{error.error_count()} entries are wrong" if isinstance(error, pydantic.ValidationError) else str(error)
        raise UsageError(f"{file}: expected the report of a run ({told}); write it anew with `samplerfuzz fuzz --resume`") from error


@cache
def _template() -> jinja2.Template:
    return template("together.html.j2", compact=compact, count=count, printable=printable)
