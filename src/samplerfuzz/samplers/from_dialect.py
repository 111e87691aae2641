"""The chain that an engine would apply, from the parameters as one would hand them to that engine."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from samplerfuzz.core.dialects import Dialect, find_dialect
from samplerfuzz.core.errors import ParameterError
from samplerfuzz.core.registry import Technique, load, parameter, parameter_owners
from samplerfuzz.samplers.chain import Chain, chain
from samplerfuzz.samplers.joint import joint
from samplerfuzz.samplers.stage import Filter, Stage
from samplerfuzz.samplers.top_k import top_k

# what a stage does where an engine leaves it open
_PLAIN = {"any": "all", "cut": "low"}
# conventions that a stage takes under another name, and with other values
_RENAMED = {"tokens": ("count_prompt", {"all": True, "output": False})}


def from_dialect(name: str, /, *, vocabulary: int | None = None, **parameters: Any) -> Chain:
    """Return the chain of an engine for its own parameters, in its own order, by its own conventions.

    Args:
      name: of a dialect; `samplerfuzz ls dialects` lists them.
      vocabulary: size V, where the domain of a parameter depends on it (mlx-lm refuses top_k ≥ V); not checked when None.
      parameters: by the names of `samplerfuzz ls techniques`, scalar or [B], as the engine takes them: its sentinels switch a stage off, its
        floors apply, its temperature 0 is greedy where it says so. Parameters that are not given are off; companions of one that is
        given (a penalty's window, the probability of XTC) have the engine's default. `coin` or `key` is for XTC.

    Returns:
      A chain. Its values are traced like those of any chain; the conventions are not.

    Raises:
      UsageError: an unknown dialect.
      ParameterError: a parameter that the engine does not have, or a value that it does not take; the values must be known, so call
        it outside of `jax.jit` and hand the chain in.

    Policy: of tokens that tie, those stay that the engine was seen to keep, or the lowest ids where it promises only how many.

    Source: `samplerfuzz explain dialect NAME`.

    Example:
      >>> import jax.numpy as jnp
      >>> logits = jnp.zeros(4)
      >>> for engine in ("transformers", "sglang", "gemma"):
      ...     print(engine, (from_dialect(engine, top_p=0.5)(logits)[0] > -jnp.inf).tolist())
      transformers [False, False, True, True]
      sglang [True, True, True, False]
      gemma [True, True, True, True]
    """
    dialect = find_dialect(name)
    extra: dict[str, Any] = {key: parameters.pop(key) for key in ("coin", "key") if key in parameters}
    given = {key: _known(key, value) if _is_number(key) else value for key, value in parameters.items()}
    settled = dialect.checked(given, vocabulary)
    stages = dialect.stages(settled)
    dialect.check_filters(stages, settled)
    unread = set(given) - {p.name for item in stages for p in item.parameters}
    if unread:
        raise ParameterError(f"no stage of {name} reads {', '.join(sorted(unread))} alone; give the parameter that it belongs to as well")
    settled = _greedy_first(dialect, stages, settled)
    made: list[Stage] = [_stage(dialect, item, settled, extra) for item in stages]
    if extra:
        raise ParameterError(f"{', '.join(sorted(extra))} was given and no stage of {name} reads it; leave it out or add xtc_threshold")
    if dialect.prefilter:
        made.insert(sum(item.name in dialect.before_prefilter for item in stages), top_k(dialect.prefilter, ties="low"))
    return chain(*(_joined(made) if dialect.behaviour.get("top_p.mass") == "full" else made))


def _is_number(name: str) -> bool:
    return name not in parameter_owners() or parameter(name).is_number


def _known(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except Exception as error:  # a tracer: its value is not known yet
        raise ParameterError(f"{name} has no value yet; expected numbers: call from_dialect outside of jax.jit ({error})"[:300]) from error
    if array.dtype.kind not in "biuf" or array.ndim > 1:
        raise ParameterError(f"{name}={value!r}: expected a number, or one for each row [B]")
    return array


def _greedy_first(dialect: Dialect, stages: tuple[Technique, ...], settled: Mapping[str, Any]) -> dict[str, Any]:
    """Switch the filters off in the rows that are decided by arg-max before any filter."""
    out = dict(settled)
    if dialect.behaviour.get("temperature.greedy") != "first" or "temperature" not in out:
        return out
    greedy = np.asarray(out["temperature"]) == 0
    for item in stages:
        name = item.parameters[0].name
        if item.filters and name in out and greedy.any():
            out[name] = np.where(greedy, np.asarray(parameter(name).neutral, np.asarray(out[name]).dtype), out[name])
    return out


def _stage(dialect: Dialect, item: Technique, settled: Mapping[str, Any], extra: dict[str, Any]) -> Stage:
    values: Mapping[str, Any]
    constructor: Callable[..., Stage] = load(item.sampler)
    accepted = inspect.signature(constructor).parameters
    given = {key: value for key, value in settled.items() if key in accepted}
    for convention, value in dialect.behaviour.items():
        owner, _, option = convention.partition(".")
        keyword, values = _RENAMED.get(option, (option, _PLAIN))
        if owner == item.name and keyword in accepted:
            given[keyword] = values.get(value, value)
    given |= {key: extra.pop(key) for key in list(extra) if key in accepted}
    stage = constructor(**given)
    return stage.keeping(settled["min_tokens_to_keep"]) if isinstance(stage, Filter) and "min_tokens_to_keep" in settled else stage


def _joined(stages: list[Stage]) -> list[Stage]:
    """Return the stages with every run of filters as one joint filter."""
    out: list[Stage] = []
    run: list[Filter] = []
    for stage in [*stages, None]:
        if isinstance(stage, Filter):
            run.append(stage)
            continue
        if run:
            out.append(run[0] if len(run) == 1 else joint(*run))
            run = []
        if stage is not None:
            out.append(stage)
    return out
