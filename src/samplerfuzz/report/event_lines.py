"""An event as one line of JSON, and back."""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, create_model

from samplerfuzz.checks.finding import Finding
from samplerfuzz.engine.events import Event, Recorded
from samplerfuzz.report.schema import FindingEntry
from samplerfuzz.report.text import json_ready

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Recorded)}


def event_json(event: Event) -> dict[str, Any]:
    """Return an event as JSON data: its type's name under `event`, then its fields."""
    return {"event": type(event).__name__, **{f.name: _value(getattr(event, f.name)) for f in fields(event)}}


def event_from_json(data: Any) -> Event:
    """Invert `event_json`; numbers that JSON has no word for come back as such in evidence, as their names in settings.

    Raises:
      ValueError: no event; the message says in one line what is wrong.
    """
    kind = data.get("event") if isinstance(data, dict) else None
    if kind not in _KINDS:
        raise ValueError(f"event {kind!r}; expected one of {', '.join(_KINDS)}")
    try:
        model = _model(kind).model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(" ".join(f"{kind}.{'.'.join(map(str, first['loc']))}: {first['msg']}".split())) from None
    event: Event = _KINDS[kind](**{f.name: getattr(model, f.name) for f in fields(_KINDS[kind])})
    return event


def event_line(event: Event) -> str:
    """Return the event as a line, its end included: strict JSON."""
    return json.dumps(event_json(event), ensure_ascii=False, allow_nan=False) + "\n"


def event_from_line(line: bytes) -> Event:
    """Invert `event_line`.

    Raises:
      ValueError: no event.
    """
    return event_from_json(json.loads(line))


def _value(value: Any) -> Any:
    if isinstance(value, Finding):
        return json_ready(value.to_json())
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    return json_ready(value)


def _finding(data: Any) -> Finding:
    if isinstance(data, dict):
        FindingEntry.model_validate({**data, "reproducer": None})
    return Finding.from_json(data)


def _default(of: Field[Any]) -> Any:
    """Return what a line means that an earlier version wrote without the field; `...` where there must be one."""
    if of.default_factory is not MISSING:
        return of.default_factory()
    return ... if of.default is MISSING else of.default


@cache
def _model(kind: str) -> type[BaseModel]:
    """Return the pydantic twin of an event's type."""
    read = Annotated[Finding, PlainValidator(_finding)]
    findings = {Finding: read, tuple[Finding, ...]: tuple[read, ...]}
    hints = get_type_hints(_KINDS[kind])
    shape: dict[str, Any] = {f.name: (findings.get(hints[f.name], hints[f.name]), _default(f)) for f in fields(_KINDS[kind])}
    return create_model(kind, __config__=ConfigDict(extra="forbid"), event=(str, ...), **shape)
