"""A plain Python function as a target: the decorator, where it is found, the call. All of it in this process: see isolated.py."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.core.dialects import Dialect, find_dialect
from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import opened_by, parameter, parameter_owners, technique
from samplerfuzz.targets.form import form_of
from samplerfuzz.targets.streams import arguments_of, is_class, play, stream_of
from samplerfuzz.targets.target import Outcome, TargetSpec
from samplerfuzz.targets.time_limit import TimeLimitReached, time_limit

F = TypeVar("F", bound=Callable[..., Any])

INPUTS = frozenset({"history", "prompt", "output", "seed", "u", "state"})
RETURNS = ("logits", "probs", "tokens")
_CHOICES = {
    "negative_temperature": ("reject", "greedy", "invert"),
    "zero_temperature": ("greedy", "reject"),
    "ties": ("any",),
    "dtype": ("float64", "float32", "float16", "bfloat16"),
    "draws_in": ("float64", "float32", "float16", "bfloat16"),
}


def target(
    function: None = None,
    /,
    *,
    order: Sequence[str] | None = None,
    returns: str | None = None,
    per_row: bool = False,
    negative_temperature: str | None = None,
    zero_temperature: str | None = None,
    dialect: str | None = None,
    ties: str = "any",
    dtype: str = "float32",
    draws_in: str | None = None,
    domain: Mapping[str, tuple[float, float]] | None = None,
) -> Callable[[F], F]:
    """Declare what a sampler function, or a stateful class with `step`, promises; it is returned unchanged.

    Args:
      order: stages in the order applied (default: the dialect's order, or the signature's).
      returns: "logits" ([B, V], removed = -inf), "probs" ([B, V]) or "tokens" ([B] integers).
      per_row: parameters and seeds are arrays [B] instead of one number a call.
      negative_temperature: "reject", "greedy" or "invert" (default: the dialect's, or "reject").
      zero_temperature: "greedy" or "reject" (default: the dialect's, or "greedy").
      dialect: the engine that it follows where released engines differ: in order, sentinels, domains, ties (`samplerfuzz ls dialects`).
      ties: "any": keep all ties or break them in a fixed way.
      dtype: arithmetic of the function: float64, float32, float16 or bfloat16.
      draws_in: arithmetic of the draw itself (default: `dtype`, whose sums and noise are then fair, and in few bits leave frequencies open).
      domain: parameter -> (low, high) in which refusing is a finding, where it is narrower than usual.

    Raises:
      UsageError: an unknown stage, form or policy; the message lists the known ones.
    """
    engine = None if dialect is None else find_dialect(dialect)
    negative_temperature = negative_temperature or (engine.negative_temperature if engine else "reject")
    zero_temperature = zero_temperature or (engine.zero_temperature if engine else "greedy")
    given = {"negative_temperature": negative_temperature, "zero_temperature": zero_temperature, "ties": ties, "dtype": dtype}
    given["draws_in"] = draws_in = draws_in or dtype
    for name, value in given.items():
        if value not in _CHOICES[name]:
            raise UsageError(f"{name}={value!r}: expected one of {', '.join(_CHOICES[name])}")
    if returns is not None and returns not in RETURNS:
        raise UsageError(f"returns={returns!r}: expected one of {', '.join(RETURNS)}")
    settled = dict(engine.conventions) if engine else {}
    if function is not None:
        raise UsageError("sf.target declares what a function promises: write @sf.target(...), for example @sf.target(order=['top_p'])")
    if isinstance(order, str):
        raise UsageError(f"order={order!r}: expected the names of the stages in a list, for example [{order!r}]")
    for stage in order or ():
        technique(stage)
    twice = [stage for index, stage in enumerate(order or ()) if stage in list(order or ())[:index]]
    if twice:
        raise UsageError(f"order names {twice[0]!r} twice; a stage is applied once")
    options = {
        "order": None if order is None else tuple(order),
        "returns": returns,
        "per_row": per_row,
        "negative_temperature": negative_temperature,
        "zero_temperature": zero_temperature,
        # T < 0 may be refused, and a value is then greedy or it is wrong
        "declared": {**settled, **_negative("invert" if negative_temperature == "invert" else "greedy")},
        "dialect": dialect or "",
        "dtype": dtype,
        "draws_in": draws_in,
        "domain": _bounds(domain or {}),
    }

    def declare(function: F) -> F:
        function.__samplerfuzz__ = options  # type: ignore[attr-defined]
        return function

    return declare


def _bounds(domain: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    known = parameter_owners()
    for name, bounds in domain.items():
        if name not in known:
            raise UsageError(f"domain: unknown parameter {name!r}; known: {', '.join(sorted(known))}")
        try:
            low, high = map(float, bounds)
        except (TypeError, ValueError):
            low, high = 1.0, 0.0
        if not low <= high:
            raise UsageError(f"domain[{name!r}]={bounds!r}: expected two numbers (low, high), low at most high")
    return {name: (float(low), float(high)) for name, (low, high) in domain.items()}


class PlainTarget:
    """A function under the plain-function contract.

    Args:
      function: the function or stateful class.
      locator: what it is called in reports.
      time_limit: seconds of a call, or of a step; one that takes longer is a hang.
      alive: called before each step of several.
      declaration: keyword arguments of `target` that hold instead of what the function declares itself; None: its own.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        locator: str,
        time_limit: float = 10.0,
        alive: Callable[[], None] = lambda: None,
        declaration: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.time_limit = time_limit
        self.alive = alive
        self.spec = _specification(function, locator, declaration)
        self._form = self.spec.returns

    def settle_form(self, form: str) -> None:
        """Hold the answers of an undecorated function to the form that it was seen to return."""
        self._form = form

    def learn_form(self) -> None:
        """Ask an undecorated function once what it returns, so that the checks that apply are known beforehand."""
        form = form_of(self)
        if form is not None:
            self.spec = replace(self.spec, returns=form)
            self.settle_form(form)

    def run(self, case: Case) -> Outcome:
        """Call the function once, under a time limit; an exception, a hang or a wrong shape is an outcome.

        A stateful target plays all steps of the case on a stream of its own, each step under the time limit.
        """
        if self.spec.stateful:
            return play(stream_of(self.function), case, self)
        return self.answer(case, lambda logits: self.function(logits, **self.arguments(case)))

    def answer(self, case: Case, call: Callable[[np.ndarray], Any]) -> Outcome:
        """Return the outcome of `call(logits)`."""
        given = case.logits.copy()
        answers: list[np.ndarray | Outcome] = []
        # a lazy array is computed when it is read
        if (failed := self.failure(lambda: answers.append(_as_array(call(given))))) is not None:
            return failed
        (answer,) = answers
        if isinstance(answer, Outcome):
            return answer
        mutated = not np.array_equal(given, case.logits, equal_nan=True)
        return self._shaped(answer, case, mutated)

    def failure(self, act: Callable[[], Any]) -> Outcome | None:
        """Do something under the time limit and return what went wrong, an exception or a hang."""
        try:
            with np.errstate(all="ignore"), time_limit(self.time_limit):
                act()
        except TimeLimitReached:
            return Outcome(kind="hang", message=f"no answer within {self.time_limit:g} s")
        except Exception as error:
            return Outcome(kind="raised", message=said(error))
        return None

    def arguments(self, case: Case) -> dict[str, Any]:
        """Return what the function is given beside the logits."""
        arguments: dict[str, Any] = {}
        for name in self.spec.parameters:
            value = case.parameters[name]
            item = parameter(name)
            if not item.is_number:
                copies = [row.copy() for row in value]
                arguments[name] = copies if self.spec.per_row else copies[0]
                continue
            array = np.asarray(value, np.float64)
            if self.spec.per_row:
                arguments[name] = array.astype(np.int64) if item.kind in ("integer", "switch") else array.copy()
            else:
                arguments[name] = int(array[0]) if item.kind in ("integer", "switch") else float(array[0])
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

    def _shaped(self, array: np.ndarray, case: Case, mutated: bool) -> Outcome:
        integral = array.dtype.kind in "iu"
        form = self._form or ("tokens" if integral else "logits")
        shape = (case.rows,) if form == "tokens" else (case.rows, case.vocabulary)
        if array.shape != shape:
            return Outcome(kind="malformed", message=f"returned shape {array.shape}, expected {shape} for {form}")
        if form == "tokens" and not integral:
            return Outcome(kind="malformed", message=f"returned dtype {array.dtype}, expected integers for tokens")
        self._form = form
        return Outcome(kind="value", form=form, value=array.astype(np.int64) if form == "tokens" else array, mutated=mutated)


def said(error: BaseException) -> str:
    """Return the type and the message of an exception in at most 300 characters, whatever its message does when it is read."""
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be read)"
    return f"{type(error).__name__}: {text}"[:300].encode("utf-8", "backslashreplace").decode()


def _as_array(value: Any) -> np.ndarray | Outcome:
    """Return integers as they are and everything else as float64; an Outcome where it is no array."""
    if value is None:
        return Outcome(kind="malformed", message="returned None; does the function end without a return?")
    try:
        array = np.asarray(value)
        return array if array.dtype.kind in "iu" else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        return Outcome(kind="malformed", message=f"expected an array, got {type(value).__name__} ({error})"[:300])


def find_function(locator: str) -> Callable[..., Any]:
    """Import `FILE.py:NAME` or `package.module:NAME` and return the function.

    Raises:
      UsageError: the file is missing or does not import, the name is not there or no function.
    """
    where, separator, name = locator.rpartition(":")
    if not separator or not name or not where:
        raise UsageError(f"target {locator!r}: expected FILE.py:NAME or package.module:NAME, for example samplers.py:my_top_p")
    module = _module_from_file(Path(where)) if where.endswith(".py") else _module_by_name(where)
    if not hasattr(module, name):
        functions = sorted(
            key for key, item in vars(module).items() if (inspect.isfunction(item) or is_class(item)) and not key.startswith("_")
        )
        raise UsageError(f"target {locator!r}: no {name!r} in {where}; functions and classes there: {', '.join(functions) or 'none'}")
    function = getattr(module, name)
    if not callable(function):
        raise UsageError(f"target {locator!r}: {name!r} is a {type(function).__name__}, expected a function")
    found: Callable[..., Any] = function
    return found


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
    except BaseException as error:
        raise UsageError(f"target file {str(path)!r} does not import: {said(error)}") from error
    return module


def _module_by_name(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except BaseException as error:
        raise UsageError(f"target module {name!r} does not import: {said(error)}") from error


def _specification(function: Callable[..., Any], locator: str, declaration: Mapping[str, Any] | None) -> TargetSpec:
    if declaration is None:
        options = dict(getattr(function, "__samplerfuzz__", {}))
    else:
        options = dict(target(**declaration)(lambda: None).__samplerfuzz__)  # type: ignore[attr-defined]
    owners = parameter_owners()
    names, inputs = [], []
    signature = arguments_of(function, locator)
    for argument in signature:
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
    of_class = inspect.isclass(function)
    if of_class and "state" in inputs:
        raise UsageError(f"target {locator!r}: a class keeps its own state; drop the argument `state`")
    order = options.pop("order", None)
    assumed = order is None and not options.get("dialect")
    if order is None:
        order = opened_by(names) if assumed else _order_of(find_dialect(options["dialect"]), names, locator)
    missing = [s for s in order for first in technique(s).parameters[:1] if first.name not in names and first.kind != "switch"]
    if missing:
        raise UsageError(
            f"target {locator!r}: order names {missing[0]!r} but the function does not take {technique(missing[0]).parameters[0].name!r}"
        )
    unread = [name for name in names if not any(item.name in order for item in owners[name])]
    # what no stage reads stays at its default
    optional = {argument.name for argument in signature if argument.default is not argument.empty}
    names = [name for name in names if name not in unread or name not in optional]
    unread = [name for name in unread if name not in optional]
    if unread:
        raise UsageError(
            f"target {locator!r}: it takes {unread[0]!r}, which no stage of order={list(order)} reads; add {owners[unread[0]][0].name!r} to the order"
        )
    if not names and any(argument.kind is argument.VAR_KEYWORD for argument in signature):
        raise UsageError(f"target {locator!r} takes **{_gathering(signature)} and no parameter by name; name them in the signature")
    options.setdefault("declared", _negative("greedy"))
    return TargetSpec(
        name=locator.rpartition(":")[2],
        locator=locator,
        order=order,
        parameters=tuple(names),
        inputs=frozenset(inputs),
        order_was_assumed=assumed and len(order) > 1,
        stateful=of_class or "state" in inputs,
        resets=callable(getattr(function, "reset", None)) if of_class else "state" in inputs,
        clones=callable(getattr(function, "clone", None)) if of_class else "state" in inputs,
        **options,
    )


def _gathering(signature: Sequence[inspect.Parameter]) -> str:
    return next(argument.name for argument in signature if argument.kind is argument.VAR_KEYWORD)


def _negative(value: str) -> dict[str, str]:
    """Settle what T < 0 means for every stage that divides by a temperature."""
    return {f"{item.name}.negative": value for item in parameter_owners()["temperature"]}


def _order_of(engine: Dialect, names: Sequence[str], locator: str) -> tuple[str, ...]:
    foreign = [name for name in names if name not in engine.known()]
    if foreign:
        raise UsageError(
            f"target {locator!r}: {engine.name} {engine.version} has no parameter {foreign[0]!r}; it has {', '.join(engine.known())}; "
            "leave it out, or say order="
        )
    return tuple(item.name for item in engine.stages(names))
