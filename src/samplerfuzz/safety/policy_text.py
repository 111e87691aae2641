"""A policy as TOML: the commented file that `samplerfuzz policy init` writes."""

from __future__ import annotations

from collections.abc import Iterator

from samplerfuzz.core.registry import parameter, parameter_owners
from samplerfuzz.safety.bounds import SAFE, Bound, default_bounds, is_whole
from samplerfuzz.safety.policy import UNKNOWN

_HEAD = """\
# What this deployment may be asked for. `samplerfuzz policy check FILE` holds it against its schema, `samplerfuzz policy show FILE`
# prints what it comes to. A key that is left out is as the shipped policy has it, which is what this file says.
version = 1

# T < 0 puts the least likely tokens first. To let it pass, set this to true and parameters.temperature.min below zero.
allow_negative_temperature = false

# A field of a request that nobody knows, such as a misspelt one: "accept", "flag" (passes, and is counted) or "reject".
unknown = "flag"

# Whether the defaults below are added to requests that leave the parameter out.
add_defaults = false

# The engine behind, one of `samplerfuzz ls dialects`: then what it ignores or refuses is said.
{dialect}

# The anomalous tokens of the model, as `samplerfuzz probe census MODEL` writes them, and the baseline of its distribution; relative to this file.
# registry = "registry.json"
# profile = "profile.json"

# Share of the answers that are watched, from 0 to 1.
sampling_rate = 1.0

# What a validator that fails means: "closed" refuses the request, "open" lets it pass.
on_error = "closed"

# Whether a guard may ask the engine for log-probabilities that the client did not ask for.
logprobs = false

# What the engine's log-probabilities are, as `samplerfuzz fuzz URL` measures it: "raw" (the model's own), "after the temperature" or
# "after the filters" (those that the token is drawn by). Then tokens are held against the law that they are drawn from.
logprobs_are = "{logprobs_are}"

# Ranges; both ends belong to them. What happens to a number outside: "reject", "clamp" (the nearest end is forwarded) or "flag" (it passes,
# and is counted). What is no number, NaN among it, is rejected whatever the action.
"""
_REST = """
# The others. As they stand here they are in force: the range in which each parameter means something.
"""


def default_text(*, dialect: str | None = None, logprobs_are: str = UNKNOWN) -> str:
    """Return the shipped policy as a commented file; read back, it is the shipped policy but for what is given here.

    Args:
      dialect: the engine behind; None: it is not said.
      logprobs_are: what its log-probabilities are, one of `policy.MEANINGS`.
    """
    head = _HEAD.format(dialect=f'dialect = "{dialect}"' if dialect else '# dialect = "llama.cpp"', logprobs_are=logprobs_are)
    bounds = default_bounds()
    safe = "\n".join(line for name in SAFE for line in _table(name, bounds[name]))
    rest = "\n".join("#" + line if line else "" for name in bounds if name not in SAFE for line in _table(name, bounds[name]))
    return f"{head}{safe}\n{_REST}{rest}\n"


def _table(name: str, bound: Bound) -> Iterator[str]:
    summary = parameter(name).summary or parameter_owners()[name][0].summary
    yield ""
    yield f"[parameters.{name}] # {summary}"
    yield f"min = {_number(name, bound.minimum)}"
    yield f"max = {_number(name, bound.maximum)}"
    if bound.default is not None:
        yield f"default = {_number(name, bound.default)}"
    yield f'action = "{bound.action}"'


def _number(name: str, value: float) -> str:
    return str(int(value)) if is_whole(name) else repr(float(value))
