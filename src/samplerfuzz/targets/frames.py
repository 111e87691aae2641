"""Cases, outcomes and specifications as the header and the arrays of a frame, exact to the bit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.cases.steps import REPLAYS, Steps
from samplerfuzz.core.registry import parameter
from samplerfuzz.targets.target import Outcome, TargetSpec
from samplerfuzz.targets.worker import Arrays, Header


def case_arrays(case: Case) -> dict[str, np.ndarray]:
    """Return a case as named arrays: `logits`, `parameter NAME` and the other inputs; lists of rows as values and lengths."""
    arrays: dict[str, np.ndarray] = {"logits": case.logits}
    for name, value in case.parameters.items():
        if parameter(name).is_number:
            arrays[f"parameter {name}"] = np.asarray(value, np.float64)
        else:
            arrays[f"ids {name}"], arrays[f"lengths {name}"] = _joined([list(row) for row in value], np.int64)
        if parameter(name).kind == "bias":
            arrays[f"addends {name}"], _ = _joined([list(row.values()) for row in value], np.float64)
    if case.history is not None:
        arrays["history ids"], arrays["history lengths"] = _joined(case.history, np.int64)
    inputs = {"prompt_length": case.prompt_length, "seeds": case.seeds, "u": case.u}
    if case.steps is not None:
        inputs |= {"steps logits": case.steps.logits, "steps choices": case.steps.choices, "steps u": case.steps.u}
        inputs["steps replay"] = np.array([REPLAYS.index(case.steps.replay)])
    return arrays | {name: value for name, value in inputs.items() if value is not None}


def case_of(arrays: Arrays) -> Case:
    """Invert `case_arrays`; the names of regime and strategy are not sent."""
    parameters: dict[str, Any] = {name.removeprefix("parameter "): value for name, value in arrays.items() if name.startswith("parameter ")}
    for name in (key.removeprefix("ids ") for key in arrays if key.startswith("ids ")):
        rows: list[Any] = [ids.tolist() for ids in _split(arrays[f"ids {name}"], arrays[f"lengths {name}"])]
        if f"addends {name}" in arrays:
            addends = _split(arrays[f"addends {name}"], arrays[f"lengths {name}"])
            rows = [dict(zip(ids, row.tolist(), strict=True)) for ids, row in zip(rows, addends, strict=True)]
        parameters[name] = rows
    history = tuple(_split(arrays["history ids"], arrays["history lengths"])) if "history ids" in arrays else None
    return Case(
        logits=arrays["logits"],
        parameters=parameters,
        history=history,
        prompt_length=arrays.get("prompt_length"),
        seeds=arrays.get("seeds"),
        u=arrays.get("u"),
        steps=_steps_of(arrays) if "steps logits" in arrays else None,
    )


def _steps_of(arrays: Arrays) -> Steps:
    replay = REPLAYS[arrays["steps replay"].item()]
    return Steps(logits=arrays["steps logits"], choices=arrays["steps choices"], u=arrays.get("steps u"), replay=replay)


def outcome_frame(outcome: Outcome) -> tuple[Header, Arrays]:
    """Return an outcome as header and arrays."""
    header = {"kind": outcome.kind, "form": outcome.form, "message": outcome.message, "mutated": outcome.mutated}
    arrays = {} if outcome.value is None else {"value": outcome.value}
    if not outcome.steps:
        return header, arrays
    frames = [outcome_frame(step) for step in outcome.steps]
    arrays |= {f"value {index}": step["value"] for index, (_, step) in enumerate(frames) if "value" in step}
    return {**header, "steps": [told for told, _ in frames]}, {**arrays, "tokens": np.stack(outcome.tokens)}


def outcome_of(header: Header, arrays: Arrays) -> Outcome:
    """Invert `outcome_frame`."""
    told = header.get("steps", ())
    return Outcome(
        **{name: value for name, value in header.items() if name != "steps"},
        value=arrays.get("value"),
        steps=tuple(Outcome(**step, value=arrays.get(f"value {index}")) for index, step in enumerate(told)),
        tokens=tuple(arrays["tokens"]) if told else (),
    )


def spec_header(spec: TargetSpec) -> Header:
    """Return a specification as JSON data.

    Raises:
      TypeError: something was declared that JSON cannot say.
    """
    data = {field.name: _plain(getattr(spec, field.name)) for field in fields(spec)}
    json.dumps(data)
    return data


def spec_of(data: Header) -> TargetSpec:
    """Invert `spec_header`."""
    tuples = {name: tuple(data[name]) for name in ("order", "parameters")}
    domain = {name: tuple(bounds) for name, bounds in data["domain"].items()}
    return TargetSpec(**{**data, **tuples, "inputs": frozenset(data["inputs"]), "domain": domain})


def _joined(rows: Sequence[Any], dtype: type) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(row) for row in rows], np.int64)
    return np.concatenate([np.zeros(0, dtype), *(np.asarray(row, dtype) for row in rows)]), lengths


def _split(joined: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    return np.split(joined, np.cumsum(lengths)[:-1]) if len(lengths) else []


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
