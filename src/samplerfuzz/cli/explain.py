"""`samplerfuzz explain [ID]`: what a check claims, what a sampling technique does and where its definition comes from, what a dialect settles."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import click

from samplerfuzz.cli.dialect_text import page
from samplerfuzz.core.dialects import DIALECTS
from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import TECHNIQUES, Parameter, Technique

if TYPE_CHECKING:
    from samplerfuzz.checks.http.claims import Claim
    from samplerfuzz.checks.registry import Check

EPILOG = """\
\b
Examples:
  samplerfuzz explain                             everything that can be explained
  samplerfuzz explain kept_token_has_probability  a check: the name in a finding
  samplerfuzz explain top_p                       a technique: a stage of a chain
  samplerfuzz explain dialect llama.cpp           an engine's conventions
"""


@click.command(epilog=EPILOG)
@click.argument("words", metavar="[ID]", nargs=-1)
def command(words: tuple[str, ...]) -> None:
    """Explain a check, a sampling technique or a dialect; with no ID, list what can be explained."""
    from samplerfuzz.checks.http.claims import own_claims
    from samplerfuzz.checks.registry import load_all

    checks: dict[str, Check | Claim] = {**load_all(), **own_claims()}
    kind, name = (words[0], " ".join(words[1:])) if len(words) > 1 else ("", words[0] if words else None)
    if kind not in ("", "check", "technique", "dialect"):
        raise UsageError(f"nothing called {' '.join(words)!r} to explain; say one ID, or `explain dialect NAME`")
    if name is None:
        click.echo(_index(checks))
    elif name in checks:
        click.echo(_check(checks[name]))
    elif name in TECHNIQUES:
        click.echo(_technique(TECHNIQUES[name]))
    elif name in DIALECTS:
        click.echo(page(DIALECTS[name]))
    else:
        known = [*sorted(checks), *TECHNIQUES, *DIALECTS]
        close = difflib.get_close_matches(name, known, n=1)
        raise UsageError(f"nothing called {name!r} to explain; {f'did you mean {close[0]!r}? ' if close else ''}known: {', '.join(known)}")


def first_sentence(text: str) -> str:
    """Return the first sentence of `text` on one line.

    >>> first_sentence("Keep the k largest.\\n\\nTies stay.")
    'Keep the k largest.'
    """
    line = " ".join(text.split())
    return line.partition(". ")[0].removesuffix(".") + "." if line else ""


def _index(checks: dict[str, Check | Claim]) -> str:
    lines = ["Checks:"]
    lines += [f"  {item.id:<44} {item.severity:<9} {item.kind}" for item in sorted(checks.values(), key=lambda c: (c.kind, c.id))]
    lines += ["", "Techniques:"]
    lines += [f"  {item.name:<44} {item.summary}" for item in TECHNIQUES.values()]
    lines += ["", "Dialects:"]
    lines += [f"  {item.name:<44} {item.version}" for item in DIALECTS.values()]
    return "\n".join(lines)


def _check(item: Check | Claim) -> str:
    return f"{item.id}\n  severity {item.severity}, kind {item.kind}\n\n{inspect.cleandoc(item.explanation)}"


def _technique(item: Technique) -> str:
    lines = [item.name, f"  {item.summary}", "", _docstring(item.oracle.partition(":")[0]), "", "Parameters:"]
    lines += [_parameter(parameter) for parameter in item.parameters]
    if item.reads_history:
        lines += ["", "Reads the tokens so far (`history`, or `prompt` and `output`)."]
    return "\n".join(lines)


def _parameter(parameter: Parameter) -> str:
    if parameter.kind == "ids":
        return f"  {parameter.name:<20} list of token ids; an empty one switches it off"
    low, high = parameter.common
    domain = f"{low:g} to {'the size of the vocabulary' if high == float('inf') else format(high, 'g')}"
    neutral = "cannot be switched off" if parameter.neutral is None else f"{parameter.neutral:g} switches it off"
    return f"  {parameter.name:<20} {parameter.kind}, {domain}; {neutral}"


def _docstring(module: str) -> str:
    specification = importlib.util.find_spec(module)
    if specification is None or specification.origin is None:
        raise UsageError(f"the module {module} of this technique is not installed; install samplerfuzz again")
    return inspect.cleandoc(ast.get_docstring(ast.parse(Path(specification.origin).read_text(encoding="utf-8"))) or "")
