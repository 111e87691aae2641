"""A plain Python function as a target: the decorator, the loader, the call."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, TypeVar

import numpy as np

from samplerfuzz.cases import Case, Generator
from samplerfuzz.core.dialects import find_dialect
from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import TECHNIQUES, parameter, parameter_owners, technique
from samplerfuzz.targets.target import Outcome, TargetSpec

F = TypeVar("F", bound=Callable[..., Any])

INPUTS = frozenset({"history", "prompt", "output", "seed", "u", "state"})
RETURNS = ("logits", "probs", "tokens")
_CHOICES = {"negative_temperature": ("reject", "greedy", "invert"), "zero_temperature": ("greedy", "reject"), "ties": ("any",)}


def target(
    *,
    order: Sequence[str] | None = None,
    returns: str | None = None,
    per_row: bool = False,
    negative_temperature: str = "reject",
    zero_temperature: str = "greedy",
    dialect: str | None = None,
    ties: str = "any",
    dtype: str = "float32",
    domain: Mapping[str, tuple[float, float]] | None = None,
) -> Callable[[F], F]:
    """Declare what a sampler function promises; the function itself is returned unchanged.

    Args:
      order: stages in the order applied (default: the signature's order).
      returns: "logits" ([B, V], removed = -inf), "probs" ([B, V]) or "tokens" ([B] integers).
      per_row: parameters and seeds are arrays [B] instead of one number a call.
      negative_temperature: "reject", "greedy" or "invert".
      zero_temperature: "greedy" or "reject".
      dialect: the engine whose conventions it follows, where released engines differ (`samplerfuzz ls dialects`).
      ties: "any": keep all ties or break them in a fixed way.
      dtype: arithmetic of the function: float64, float32, float16 or bfloat16.
      domain: parameter -> (low, high) in which refusing is a finding, where it is narrower than usual.

    Raises:
      UsageError: an unknown stage, form or policy; the message lists the known ones.
    """
    given = {"negative_temperature": negative_temperature, "zero_temperature": zero_temperature, "ties": ties}
    for name, value in given.items():
        if value not in _CHOICES[name]:
            raise UsageError(f"{name}={value!r}: expected one of {', '.join(_CHOICES[name])}")
    if returns is not None and returns not in RETURNS:
        raise UsageError(f"returns={returns!r}: expected one of {', '.join(RETURNS)}")
    settled = {} if dialect is None else dict(find_dialect(dialect).conventions)
    for stage in order or ():
        technique(stage)
    options = {
        "order": None if order is None else tuple(order),
        "returns": returns,
        "per_row": per_row,
        "negative_temperature": negative_temperature,
        "zero_temperature": zero_temperature,
        # T < 0 may be refused, and a value is then greedy or it is wrong
        "declared": {**settled, "temperature.negative": "invert" if negative_temperature == "invert" else "greedy"},
        "dtype": dtype,
        "domain": dict(domain or {}),
    }

    def declare(function: F) -> F:
        function.__samplerfuzz__ = options  # type: ignore[attr-defined]
        return function

    return declare


class PlainTarget:
    """A function under the plain-function contract."""

    def __init__(self, function: Callable[..., Any], *, locator: str, time_limit: float = 10.0) -> None:
        self.function = function
        self.time_limit = time_limit
        self.spec = _specification(function, locator)
        self._form = self.spec.returns

    def learn_form(self) -> None:
        """Ask an undecorated function once what it returns, so that the checks that apply are known beforehand."""
        if self.spec.returns is not None:
            return
        generator = Generator(parameters=self.spec.parameters, inputs=self.spec.inputs, per_row=self.spec.per_row)
        case = generator.case(np.random.default_rng(0), rows=2, size=4, strategy="ordinary", regime="normal")
        outcome = self.run(case)
        if outcome.kind == "value":
            self.spec = replace(self.spec, returns=outcome.form)

    def run(self, case: Case) -> Outcome:
        """Call the function once, under a time limit; an exception, a hang or a wrong shape is an outcome."""
        given = case.logits.copy()
        arguments = self._arguments(case)
        try:
            with np.errstate(all="ignore"), _time_limit(self.time_limit):
                value = self.function(given, **arguments)
        except _TimeLimitReached:
            return Outcome(kind="hang", message=f"no answer within {self.time_limit:g} s")
        except Exception as error:
            return Outcome(kind="raised", message=f"{type(error).__name__}: {error}"[:300])
        mutated = not np.array_equal(given, case.logits, equal_nan=True)
        return self._shaped(value, case, mutated)

    def _arguments(self, case: Case) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for name in self.spec.parameters:
            value = case.parameters[name]
            if not parameter(name).is_number:
                own = [type(row)(row) for row in value]
                arguments[name] = own if self.spec.per_row else own[0]
                continue
            kind = parameter(name).kind
            array = np.asarray(value, np.float64)
            if self.spec.per_row:
                arguments[name] = array.astype(np.int64) if kind == "integer" else array.copy()
            else:
                arguments[name] = int(array[0]) if kind == "integer" else float(array[0])
        histories = [np.array(ids, np.int64) for ids in case.history or [np.zeros(0, np.int64)] * case.rows]
        lengths = case.prompt_length if case.prompt_length is not None else np.zeros(case.rows, np.int64)
        for name in self.spec.inputs:
            if name == "history":
                arguments[name] = histories
            elif name == "prompt":
                arguments[name] = [ids[:n] for ids, n in zip(histories, lengths, strict=True)]
            elif name == "output":
                arguments[name] = [ids[n:] for ids, n in zip(histories, lengths, strict=True)]
            elif name == "seed":
                seeds = case.seeds if case.seeds is not None else np.zeros(case.rows, np.int64)
                arguments[name] = seeds.copy() if self.spec.per_row else int(seeds[0])
            elif name == "u":
                arguments[name] = (case.u if case.u is not None else np.full(case.rows, 0.5)).copy()
        return arguments

    def _shaped(self, value: Any, case: Case, mutated: bool) -> Outcome:
        try:
            array = np.asarray(value)
            integral = array.dtype.kind in "iu"
            if not integral:
                array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            return Outcome(kind="malformed", message=f"expected an array, got {type(value).__name__} ({error})"[:300])
        form = self._form or ("tokens" if integral else "logits")
        shape = (case.rows,) if form == "tokens" else (case.rows, case.vocabulary)
        if array.shape != shape:
            return Outcome(kind="malformed", message=f"returned shape {array.shape}, expected {shape} for {form}")
        if form == "tokens" and not integral:
            return Outcome(kind="malformed", message=f"returned dtype {array.dtype}, expected integers for tokens")
        self._form = form
        return Outcome(kind="value", form=form, value=array.astype(np.int64) if form == "tokens" else array, mutated=mutated)


def load_target(locator: str, *, time_limit: float = 10.0) -> PlainTarget:
    """Load `FILE.py:NAME` or `package.module:NAME`.

    Raises:
      UsageError: the file is missing or does not import, the name is not there or no function, an argument is unknown.
    """
    where, separator, name = locator.rpartition(":")
    if not separator or not name or not where:
        raise UsageError(f"target {locator!r}: expected FILE.py:NAME or package.module:NAME, for example samplers.py:my_top_p")
    module = _module_from_file(Path(where)) if where.endswith(".py") else _module_by_name(where)
    if not hasattr(module, name):
        functions = sorted(key for key, item in vars(module).items() if inspect.isfunction(item) and not key.startswith("_"))
        raise UsageError(f"target {locator!r}: no {name!r} in {where}; functions there: {', '.join(functions) or 'none'}")
    function = getattr(module, name)
    if not callable(function):
        raise UsageError(f"target {locator!r}: {name!r} is a {type(function).__name__}, expected a function")
    loaded = PlainTarget(function, locator=locator, time_limit=time_limit)
    loaded.learn_form()
    return loaded


def _module_from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"target file {str(path)!r} does not exist (working directory: {Path.cwd()})")
    name = f"_samplerfuzz_target_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"target file {str(path)!r} does not import: {type(error).__name__}: {error}") from error
    return module


def _module_by_name(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise UsageError(f"target module {name!r} does not import: {type(error).__name__}: {error}") from error


def _specification(function: Callable[..., Any], locator: str) -> TargetSpec:
    options = dict(getattr(function, "__samplerfuzz__", {}))
    try:
        signature = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise UsageError(f"target {locator!r}: its signature cannot be read ({error})") from error
    if not signature:
        raise UsageError(f"target {locator!r} takes no argument; the first must be logits [B, V]")
    owners = parameter_owners()
    names, inputs = [], []
    for argument in signature[1:]:
        if argument.kind in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL):
            continue
        if argument.name in owners:
            names.append(argument.name)
        elif argument.name in INPUTS:
            inputs.append(argument.name)
        elif argument.default is argument.empty:
            raise UsageError(
                f"target {locator!r}: unknown required argument {argument.name!r}; known: {', '.join(sorted([*owners, *INPUTS]))}"
            )
    if "state" in inputs:
        raise UsageError(f"target {locator!r}: `state` targets are not supported in this version; wrap the step as a function of history")
    order = options.pop("order", None)
    assumed = order is None
    if order is None:
        order = tuple(dict.fromkeys(stage for name in names for stage in _stages_of(name)))
    missing = [stage for stage in order if technique(stage).parameters[0].name not in names]
    if missing:
        raise UsageError(
            f"target {locator!r}: order names {missing[0]!r} but the function does not take {technique(missing[0]).parameters[0].name!r}"
        )
    options.setdefault("declared", {"temperature.negative": "greedy"})
    return TargetSpec(
        name=locator.rpartition(":")[2],
        locator=locator,
        order=order,
        parameters=tuple(names),
        inputs=frozenset(inputs),
        order_was_assumed=assumed and len(order) > 1,
        **options,
    )


def _stages_of(parameter: str) -> list[str]:
    return [item.name for item in TECHNIQUES.values() if item.parameters[0].name == parameter]


class _TimeLimitReached(BaseException):
    """Raised by the alarm inside a target that does not answer."""


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum: int, frame: FrameType | None) -> None:
        raise _TimeLimitReached

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
