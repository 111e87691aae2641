"""Reproducers: a finding as one Python program that needs only NumPy and the target."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from textwrap import indent
from typing import Any

import jinja2
import numpy as np

import samplerfuzz
from samplerfuzz.cases import Case
from samplerfuzz.cases.flat import flat_case
from samplerfuzz.cases.steps import led, steady
from samplerfuzz.checks.finding import Finding
from samplerfuzz.core.registry import parameter
from samplerfuzz.report.assertions import Assertion, assertion
from samplerfuzz.report.files import write_atomically
from samplerfuzz.report.inlined import inlined
from samplerfuzz.report.literal import literal
from samplerfuzz.report.requests import is_served, served_source
from samplerfuzz.report.text import number, printable
from samplerfuzz.targets.libraries.adapter import adapter_file
from samplerfuzz.targets.libraries.opening import named

_BUILTIN = "builtin:"
_PACKAGE = Path(samplerfuzz.__file__).resolve().parent


def write_reproducer(finding: Finding, directory: Path) -> Path:
    """Write `<id>.py` and return its path."""
    return write_atomically(directory / f"{finding.id}.py", reproducer_source(finding))


def reproducer_source(finding: Finding) -> str:
    """Return the program: it prints expected and got, and exits 1 if the defect shows, 0 if not, 2 if the target does not load."""
    if is_served(finding):
        return served_source(finding)
    loader, where, name, own = _loader(finding.target)
    asserted = assertion(finding)
    case = _asked(finding, asserted)
    integers = [n for n in case.parameters if parameter(n).kind in ("integer", "switch")]
    collections = [n for n in case.parameters if not parameter(n).is_number]
    return _template().render(
        docstring=_docstring(finding, loader, own, asserted),
        assertion=asserted.template,
        loader=loader,
        own=own,
        where=repr(where),
        name=repr(name),
        case=_case_lines(case),
        parameters=literal(list(case.parameters)),
        integers=literal(integers),
        collections=literal(collections),
        per_row=finding.per_row,
        returns=f'"{finding.returns}"',
        row=0 if asserted.template.startswith("seeds_") else finding.violation.row,
        stateful=finding.stateful,
        **_library(finding.target),
        constants=[(key, literal(value)) for key, value in {**asserted.constants, **_place(finding)}.items()],
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("samplerfuzz.report"),
        # the output is Python: every value goes through repr
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("reproducer.py.j2")


def _loader(locator: str) -> tuple[str, str, str, bool]:
    """Return how the target is loaded, from where, its name, and whether it is a part of samplerfuzz."""
    if locator.startswith(_BUILTIN):
        return "builtin", "", locator.removeprefix(_BUILTIN), True
    if (library := named(locator)) is not None:
        return "inline", "", library.function or "", False
    where, _, name = locator.rpartition(":")
    if where.endswith(".py"):
        path = Path(where).resolve()
        return "file", str(path), name, path.is_relative_to(_PACKAGE)
    return "module", where, name, where.split(".")[0] == "samplerfuzz"


def _library(locator: str) -> dict[str, str]:
    """Return what the program says of a library, and the part of its adapter that calls it."""
    item = None if locator.startswith(_BUILTIN) else named(locator)
    if item is None or item.function is None:
        return {}
    code = inlined(adapter_file(item.library.name), item.function)
    return {"library": item.library.name, "code": indent(code, "    "), "function": item.function}


def _docstring(finding: Finding, loader: str, own: bool, asserted: Assertion) -> str:
    v = finding.violation
    assumed = " (assumed from the signature)" if finding.order_was_assumed else ""
    needs = "The target is a part of samplerfuzz." if own else "Runs without samplerfuzz: NumPy and the target are enough."
    if finding.version:
        needs = f"Runs without samplerfuzz. Seen with {finding.version}."
    argument = "" if loader in ("builtin", "inline") else " [FILE.py:NAME]" if loader == "file" else " [MODULE:NAME]"
    lines = [
        f"{v.severity.upper()}: {v.title}",
        "",
        f"claim    {v.check}",
        f"target   {finding.target}",
        f"stages   {' > '.join(finding.order) or 'none'}{assumed}; returns {finding.returns}",
    ]
    if v.statistic:
        lines.append("found    " + ", ".join(f"{name} = {number(x)}" for name, x in v.statistic.items()))
    lines += [
        "",
        f"usage    python {finding.id}.py{argument}",
        "exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded",
        "",
        needs,
    ]
    text = "\n".join(printable(line) for line in lines).replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{text}\n"""'


def _asked(finding: Finding, asserted: Assertion) -> Case:
    """Return what the target is asked: the case of the finding, or the one that its check made of it."""
    case = finding.case
    if asserted.template.startswith("seeds_"):
        return flat_case(list(case.parameters), seeds=case.seeds is not None, per_row=finding.per_row)
    if asserted.template == "steps_pairs":
        return steady(case, finding.order)
    return led(case)[0] if asserted.template == "steps_led" else case


def _place(finding: Finding) -> dict[str, Any]:
    """Return the step that a finding was seen in, where a case has steps."""
    if finding.case.steps is None:
        return {}
    observed = finding.violation.observed
    protocol = finding.violation.protocol
    replay = protocol if protocol in ("reset", "clone") else finding.case.steps.replay
    return {"STEP": observed.get("step", 0), "TAKEN": observed.get("taken", []), "REPLAY": replay}


def _case_lines(case: Case) -> list[tuple[str, str]]:
    rows: dict[str, Any] = {"logits": _float32(case.logits)}
    rows |= {name: value if isinstance(value, list) else np.asarray(value, np.float64).tolist() for name, value in case.parameters.items()}
    if case.history is not None:
        rows["history"] = [list(map(int, ids)) for ids in case.history]
        if case.prompt_length is not None:
            rows["prompt_length"] = case.prompt_length.tolist()
    if case.seeds is not None:
        rows["seed"] = case.seeds.tolist()
    if case.u is not None:
        rows["u"] = case.u.tolist()
    if case.steps is not None:
        rows["later logits"] = [_float32(row) for row in case.steps.logits.swapaxes(0, 1)]
        rows["choices"] = case.steps.choices.T.tolist()
    if case.steps is not None and case.steps.u is not None:
        rows["later u"] = case.steps.u.T.tolist()
    return [(f'"{name}"', literal(value)) for name, value in rows.items()]


def _float32(logits: np.ndarray) -> list[list[float]]:
    """Return the shortest float64 numbers that round to these float32 numbers."""
    return [[float(str(x)) for x in row] for row in np.asarray(logits, np.float32)]
