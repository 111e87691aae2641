"""Stateful targets: a class with `step`, or a function that is handed its own state. How a stream of steps is begun, driven, reset and cloned.

One `play` is one request and one answer, so that a target in another process needs no handle: its streams live and end inside the call.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.steps import step_of, taken_from
from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.target import Outcome


class Stream(Protocol):
    """One text under way."""

    def step(self, logits: np.ndarray, arguments: dict[str, Any]) -> Any:
        """Return what the target makes of the next logits."""
        ...

    def accept(self, tokens: np.ndarray) -> None:
        """Tell which tokens [B] were taken."""
        ...

    def reset(self) -> None:
        """Begin a new text."""
        ...

    def clone(self) -> Stream:
        """Return a stream that goes on as this one would."""
        ...


class ObjectStream:
    """An instance of a class, made at the first step: what its constructor names is given once, what `step` names at every step."""

    def __init__(self, cls: Any, instance: Any = None) -> None:
        self._class, self._instance = cls, instance

    def step(self, logits: np.ndarray, arguments: dict[str, Any]) -> Any:
        """Call `step` with what it takes."""
        if self._instance is None:
            self._instance = self._class(**_named(arguments, self._class.__init__))
        return self._instance.step(logits, **_named(arguments, self._class.step))

    def accept(self, tokens: np.ndarray) -> None:
        """Call `accept`, where there is one."""
        if hasattr(self._instance, "accept"):
            self._instance.accept(tokens.copy())

    def reset(self) -> None:
        """Call `reset`."""
        self._instance.reset()

    def clone(self) -> Stream:
        """Call `clone`."""
        return ObjectStream(self._class, self._instance.clone())


class StateStream:
    """A function (logits, …, state) -> (result, state), whose first state is None."""

    def __init__(self, function: Callable[..., Any], state: Any = None) -> None:
        self._function, self._state = function, state

    def step(self, logits: np.ndarray, arguments: dict[str, Any]) -> Any:
        """Call the function with the state it gave last.

        Raises:
          TypeError: it gave no pair.
        """
        answer = self._function(logits, **arguments, state=self._state)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise TypeError(f"a function of `state` returns (result, new state), not {type(answer).__name__}")
        result, self._state = answer
        return result

    def accept(self, tokens: np.ndarray) -> None:
        """Nothing: the function sees the tokens in `history` or drew them."""

    def reset(self) -> None:
        """Forget the state."""
        self._state = None

    def clone(self) -> Stream:
        """Return a stream with a deep copy of the state."""
        return StateStream(self._function, copy.deepcopy(self._state))


def is_class(target: Any) -> bool:
    """Whether the target is a class with `step`."""
    return inspect.isclass(target) and callable(getattr(target, "step", None))


def arguments_of(target: Any, locator: str) -> list[inspect.Parameter]:
    """Return everything that a target takes beside `logits`: a function's arguments, or those of a class's constructor and `step`.

    Raises:
      UsageError: a class without `step(self, logits, …)`, or a function without arguments.
    """
    if inspect.isclass(target) and not is_class(target):
        raise UsageError(f"target {locator!r} is a class without step(self, logits, …); a stateful target has that method")
    called = _parameters(target.step if is_class(target) else target, locator)
    own = int(is_class(target))
    if len(called) <= own:
        raise UsageError(f"target {locator!r} takes no argument; the first must be logits [B, V]")
    made = [] if not own or target.__init__ is object.__init__ else _parameters(target.__init__, locator)[1:]
    return list({argument.name: argument for argument in [*called[own + 1 :], *made]}.values())


def stream_of(target: Any) -> Stream:
    """Return a stream of a stateful target that has not begun."""
    return ObjectStream(target) if inspect.isclass(target) else StateStream(target)


class Caller(Protocol):
    """What calls the target and turns what it does into outcomes.

    Attributes:
      alive: tells whoever waits that a step is done.
    """

    alive: Callable[[], None]

    def arguments(self, case: Case) -> dict[str, Any]:
        """Return what the target is given beside the logits of a case of one step."""
        ...

    def answer(self, case: Case, call: Callable[[np.ndarray], Any]) -> Outcome:
        """Return the outcome of `call(logits)`."""
        ...

    def failure(self, act: Callable[[], Any]) -> Outcome | None:
        """Do something that answers nothing and return what went wrong."""
        ...


def play(stream: Stream, case: Case, caller: Caller) -> Outcome:
    """Play a case on a stream that has not begun and return the outcome, of one step or of several."""
    if case.steps is None:
        return caller.answer(case, lambda logits: stream.step(logits, caller.arguments(case)))
    run, count, fork = _Run(), case.steps.count, case.steps.fork
    if case.steps.replay == "clone":
        run.advance(stream, case, caller, fork)
        if len(run.outcomes) == fork and run.is_going_on:
            twin: list[Stream] = []
            if (failed := caller.failure(lambda: twin.append(stream.clone()))) is not None:
                return run.ended_by(failed, "clone")
            other = run.copy()
            other.advance(twin[0], case, caller, count)
            run.advance(stream, case, caller, count)
            return run.whole(other.outcomes[fork:], other.tokens[fork:])
    run.advance(stream, case, caller, count)
    if case.steps.replay == "reset" and len(run.outcomes) == count and run.is_going_on:
        if (failed := caller.failure(stream.reset)) is not None:
            return run.ended_by(failed, "reset")
        other = _Run()
        other.advance(stream, case, caller, count)
        return run.whole(other.outcomes, other.tokens)
    return run.whole([], [])


class _Run:
    """Steps played so far, and the tokens taken after each."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.tokens: list[np.ndarray] = []

    @property
    def is_going_on(self) -> bool:
        """Whether the last step was answered with tokens to go on with."""
        return not self.outcomes or bool(self.outcomes[-1].kind == "value" and (self.tokens[-1] >= 0).all())

    def copy(self) -> _Run:
        """Return the same steps, to go on with another stream."""
        twin = _Run()
        twin.outcomes, twin.tokens = list(self.outcomes), list(self.tokens)
        return twin

    def advance(self, stream: Stream, case: Case, caller: Caller, until: int) -> None:
        """Play on until `until` steps are done or one is not answered."""
        while len(self.outcomes) < until and self.is_going_on:
            caller.alive()
            at = step_of(case, len(self.outcomes), self.tokens)
            outcome = caller.answer(at, lambda logits, at=at: stream.step(logits, caller.arguments(at)))  # type: ignore[misc]
            tokens = _taken(outcome, case, len(self.outcomes))
            self.outcomes.append(outcome)
            self.tokens.append(tokens)
            if self.is_going_on and (failed := caller.failure(lambda tokens=tokens: stream.accept(tokens))) is not None:  # type: ignore[misc]
                self.outcomes[-1] = _inside("accept", failed)

    def ended_by(self, failed: Outcome, method: str) -> Outcome:
        """Return the whole with one step more, which is what went wrong after the last."""
        return self.whole([_inside(method, failed)], [np.full_like(self.tokens[-1], -1)])

    def whole(self, others: Sequence[Outcome], taken: Sequence[np.ndarray]) -> Outcome:
        """Return the outcome of these steps and those of a replay."""
        outcomes = (*self.outcomes, *others)
        told = next((outcome for outcome in outcomes if outcome.kind != "value"), outcomes[-1])
        return Outcome(kind=told.kind, form=told.form, message=told.message, steps=outcomes, tokens=(*self.tokens, *taken))


def _inside(method: str, failed: Outcome) -> Outcome:
    return replace(failed, message=f"{method}: {failed.message}")


def _taken(outcome: Outcome, case: Case, index: int) -> np.ndarray:
    """Return the tokens [B] taken from an answer."""
    assert case.steps is not None
    if outcome.kind != "value":
        return np.full(case.rows, -1, np.int64)
    if outcome.form == "tokens":
        return np.where((outcome.value >= 0) & (outcome.value < case.vocabulary), outcome.value, -1)
    return taken_from(outcome.distributions(), case.steps.choices[index])


def _parameters(function: Callable[..., Any], locator: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise UsageError(f"target {locator!r}: its signature cannot be read ({error})") from error


def _named(arguments: dict[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    if function is object.__init__:
        return {}
    names = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in names}
