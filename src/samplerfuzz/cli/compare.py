"""`samplerfuzz compare A B`: two samplers, or two versions of one, on the same cases."""

from __future__ import annotations

import json
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from samplerfuzz.cli.seconds import Seconds

if TYPE_CHECKING:
    from samplerfuzz.engine.compare import Comparison, Difference

_EXAMPLES = """
\b
Examples:
  samplerfuzz compare my_sampler.py:old my_sampler.py:new
  samplerfuzz compare transformers:top_p vllm:top_p
  samplerfuzz compare transformers==5.20.0 transformers==5.23.0      every function that both have
  samplerfuzz compare builtin:top_p my_sampler.py:top_p --json

\b
A difference is put down to who is wrong by the oracle, to the convention that the two
declare differently (ties, what top-p mass is measured on, order, ...), or both are fair:
rounding, ties, or what neither declares.

\b
Exit status: 0 no difference that matters, 1 one of them is wrong, 2 usage error,
3 nothing could be compared.
"""
_SHOWN = 8


@click.command(epilog=_EXAMPLES)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--max-time", type=Seconds(), default=20.0, show_default=True, metavar="SECONDS", help="Time for each pair of functions.")
@click.option("--max-cases", type=click.IntRange(min=1), default=None, metavar="N", help="Stop after N rows.")
@click.option("--seed", type=click.IntRange(min=0), default=None, metavar="N", help="Seed of the cases (default: random, printed).")
@click.option("--call-timeout", type=Seconds(), default=10.0, show_default=True, metavar="SECONDS", help="A call that takes longer hangs.")
@click.option(
    "--python", type=click.Path(exists=True, dir_okay=False), default=None, metavar="PATH", help="The interpreter of A, a library."
)
@click.option("--python-b", type=click.Path(exists=True, dir_okay=False), default=None, metavar="PATH", help="That of B (default: as A).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    first: str,
    second: str,
    max_time: float,
    max_cases: int | None,
    seed: int | None,
    call_timeout: float,
    python: str | None,
    python_b: str | None,
    as_json: bool,
) -> None:
    """Compare two targets that give logits or probabilities, row by row.

    A and B are what `samplerfuzz fuzz` takes. Of two libraries, or versions of one, the functions with the same name are compared.
    """
    from samplerfuzz.engine.compare import compare
    from samplerfuzz.targets.opening import close, open_target

    seed = secrets.randbelow(2**31) if seed is None else seed
    results = []
    context = click.get_current_context()
    for a, b in _pairs(first, second, call_timeout, python, python_b):
        left = open_target(a, call_timeout=call_timeout, python=python)
        context.call_on_close(partial(close, left))
        right = open_target(b, call_timeout=call_timeout, python=python_b or python)
        context.call_on_close(partial(close, right))
        results.append(compare(left, right, seed=seed, seconds=max_time, cases=max_cases))
        if not as_json:
            _print(results[-1])
    if as_json:
        click.echo(json.dumps({"seed": seed, "comparisons": [_json(result) for result in results]}, indent=1))
    else:
        click.echo(f"seed {seed}")
    if not any(result.agree or result.differ for result in results):
        raise SystemExit(3)
    raise SystemExit(1 if any(_matters(reason) for result in results for reason in result.differ) else 0)


def _pairs(first: str, second: str, call_timeout: float, python: str | None, python_b: str | None) -> list[tuple[str, str]]:
    from samplerfuzz.core.errors import UsageError
    from samplerfuzz.targets.opening import expanded

    left, _ = expanded([first], call_timeout=call_timeout, python=python)
    right, _ = expanded([second], call_timeout=call_timeout, python=python_b or python)
    if (first,) == left and (second,) == right:
        return [(first, second)]
    names = {locator.rpartition(":")[2]: locator for locator in right}
    found = [(locator, names[name]) for locator in left if (name := locator.rpartition(":")[2]) in names]
    pairs = [(a, b) for a, b in found if _shows(a, call_timeout, python) and _shows(b, call_timeout, python_b or python)]
    if not pairs:
        raise UsageError(f"{first} and {second} have no function of the same name that gives logits or probabilities; name two functions")
    return pairs


def _shows(locator: str, call_timeout: float, python: str | None) -> bool:
    from samplerfuzz.targets.opening import open_target

    spec = open_target(locator, call_timeout=call_timeout, python=python).spec
    return spec.returns != "tokens" and not spec.stateful


def _matters(reason: str) -> bool:
    return reason.endswith("wrong")


def _print(result: Comparison) -> None:
    from samplerfuzz.report.text import count, printable

    for letter, spec in (("A", result.first), ("B", result.second)):
        click.echo(f"{letter}  {printable(spec.locator)}{f'  ({spec.version})' if spec.version else ''}")
    told = [f"{count(result.rows)} rows", f"{count(result.agree)} agree"]
    told += [f"{count(result.refused)} both refuse"] if result.refused else []
    told += [f"{count(result.unjudged)} have no agreed answer"] if result.unjudged else []
    click.echo("   " + " · ".join(told))
    for reason, number in sorted(result.differ.items(), key=lambda item: (not _matters(item[0]), -item[1])):
        words = reason.replace("first", "A").replace("second", "B")
        click.echo(click.style(f"   {count(number):>9}  {words}", fg="red" if _matters(reason) else None, bold=_matters(reason)))
        for line in _example(result.examples[reason]):
            click.echo(f"              {line}")
    click.echo()


def _example(difference: Difference) -> list[str]:
    from samplerfuzz.report.text import number, printable

    case = difference.case
    values = [f"{name} {number(value[0]) if not isinstance(value, list) else value[0]}" for name, value in case.parameters.items()]
    lines = [f"logits [{', '.join(number(x) for x in case.logits[0][:_SHOWN].tolist())}{', …' if case.vocabulary > _SHOWN else ''}]"]
    lines += [", ".join(values)] if values else []
    if case.history is not None and len(case.history[0]):
        lines.append(f"history {case.history[0].tolist()[:_SHOWN]}")
    for letter, answer in zip("AB", difference.answers, strict=True):
        shown = answer if isinstance(answer, str) else "[" + ", ".join(number(x) for x in answer[:_SHOWN].tolist()) + "]"
        lines.append(f"{letter}: {printable(shown)}")
    return lines


def _json(result: Comparison) -> dict[str, Any]:
    def answer(value: Any) -> Any:
        return value if isinstance(value, str) else [x if x == x else "nan" for x in value.tolist()]

    return {
        "first": {"target": result.first.locator, "version": result.first.version},
        "second": {"target": result.second.locator, "version": result.second.version},
        "rows": result.rows,
        "agree": result.agree,
        "both_refuse": result.refused,
        "no_agreed_answer": result.unjudged,
        "differ": [
            {
                "reason": reason,
                "rows": number,
                "matters": _matters(reason),
                "case": result.examples[reason].case.to_json(),
                "answers": [answer(value) for value in result.examples[reason].answers],
            }
            for reason, number in result.differ.items()
        ],
    }
