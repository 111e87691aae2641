"""Dialects: what each engine settles where released engines differ, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from samplerfuzz.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One engine's conventions.

    Attributes:
      name: of the engine.
      conventions: "stage.convention" -> value, as the oracle's twins name them.
    """

    name: str
    conventions: Mapping[str, str] = field(default_factory=dict)


DIALECTS: dict[str, Dialect] = {
    d.name: d
    for d in (
        Dialect(name="transformers", conventions={"top_p.mass": "left"}),
        Dialect(name="vllm", conventions={"top_p.mass": "left"}),
        Dialect(name="sglang", conventions={"top_p.mass": "full"}),
        Dialect(name="llama.cpp", conventions={"top_p.mass": "left"}),
    )
}


def find_dialect(name: str) -> Dialect:
    """Return the dialect `name`; raise UsageError with the known ones."""
    if name not in DIALECTS:
        raise UsageError(f"dialect={name!r}: expected one of {', '.join(DIALECTS)}")
    return DIALECTS[name]
