"""A dialect as text: the page that `samplerfuzz explain` prints."""

from __future__ import annotations

from collections.abc import Mapping

from samplerfuzz.core.dialects import Dialect, Rule
from samplerfuzz.core.registry import parameter

_MEANINGS = {
    "ties all": "all that tie at the cut stay",
    "ties cut": "as many of those that tie stay as fit, whichever",
    "ties low": "as many of those that tie stay as fit, the lowest ids first",
    "ties high": "as many of those that tie stay as fit, the highest ids first",
    "crossing reached": "a prefix is long enough when its sum is at least the mass",
    "crossing exceeded": "a prefix is long enough when its sum is above the mass",
    "mass left": "measured on what the filters before left",
    "mass full": "measured on the whole row",
    "choice at_least": "a top choice has at least the threshold",
    "choice above": "a top choice is above the threshold",
    "tokens all": "the prompt counts",
    "tokens output": "the prompt does not count",
    "greedy in_turn": "greedy is the arg-max of what the stages before left",
    "greedy first": "greedy is the arg-max before any filter",
    "nothing maximum": "a mass of 0 or less keeps the arg-max",
    "nothing first": "a mass of 0 or less keeps the first token",
    "above_one maximum": "a share above 1 keeps the arg-max",
    "sigma population": "without Bessel's correction",
}


def page(dialect: Dialect) -> str:
    """Return everything that a dialect settles."""
    lines = [f"{dialect.name} ({dialect.version})", f"  {dialect.source}", ""]
    lines += ["Order: " + " > ".join(dialect.order)]
    lines += [f"Temperature: T < 0 {_policy(dialect.negative_temperature)}, T = 0 {_policy(dialect.zero_temperature)}."]
    for name, left in dialect.replaced.items():
        lines += [f"With {name}, only {', '.join(left)} are applied."]
    if dialect.one_filter:
        lines += ["One filter a call."]
    if dialect.prefilter:
        lines += [f"It looks at the {dialect.prefilter} best tokens only."]
    lines += ["", "Parameters:", *(_rule(name, rule) for name, rule in dialect.rules.items())]
    lines += ["", "Conventions:", *_settled(dialect.conventions)]
    if dialect.habits:
        lines += ["", "Seen, and not promised (samplers made from the dialect follow it, verdicts do not):", *_settled(dialect.habits)]
    if dialect.notes:
        lines += ["", "Notes:", *(f"  {note}" for note in dialect.notes)]
    return "\n".join(lines)


def _policy(policy: str) -> str:
    return {"reject": "is refused", "greedy": "is greedy", "invert": "inverts"}[policy]


def _rule(name: str, rule: Rule) -> str:
    said = [f"called {rule.called}"] if rule.called else []
    anything = "any number" if parameter(name).is_number else "what the technique takes"
    said += [f"takes {anything if rule.takes in ('(-inf, inf)', '[-inf, inf]') else rule.takes}"]
    said += [f"off at {rule.off}"] if rule.off else []
    said += [f"{where} acts as {value:g}" for where, value in rule.becomes]
    said += [f"{rule.default:g} when not given"] if rule.default is not None else []
    return f"  {name:<20} {'; '.join(said)}"


def _settled(conventions: Mapping[str, str]) -> list[str]:
    return [f"  {name:<28} {value:<11} {_meaning(name, value)}".rstrip() for name, value in sorted(conventions.items())]


def _meaning(name: str, value: str) -> str:
    return _MEANINGS.get(f"{name.partition('.')[2]} {value}", "")
