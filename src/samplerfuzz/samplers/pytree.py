"""Frozen dataclasses as pytrees whose structure tells their class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, fields
from typing import Any, TypeVar

import jax

T = TypeVar("T")


def pytree(cls: type[T]) -> type[T]:
    """Register a dataclass whose fields are leaves or pytrees, but for those declared with `static`, which are part of the structure.

    Not `jax.tree_util.register_dataclass`: in jaxlib 0.10.2 two classes registered with it, having as many fields, give structures that compare equal
    though their hashes differ. A jit cache keyed on them now and then runs the program of the other class: top-k came out as temperature.

    Example:
      >>> import jax
      >>> from samplerfuzz import samplers
      >>> jax.tree.structure(samplers.temperature(1.0)) == jax.tree.structure(samplers.top_p(1.0))
      False
    """
    names = tuple(item.name for item in fields(cls) if not item.metadata.get("static"))  # type: ignore[arg-type]
    fixed = tuple(item.name for item in fields(cls) if item.metadata.get("static"))  # type: ignore[arg-type]

    def options(value: T) -> tuple[object, ...]:
        return tuple(getattr(value, name) for name in fixed)

    def flatten(value: T) -> tuple[tuple[object, ...], tuple[object, ...]]:
        return tuple(getattr(value, name) for name in names), options(value)

    def flatten_with_keys(value: T) -> tuple[tuple[tuple[jax.tree_util.GetAttrKey, object], ...], tuple[object, ...]]:
        return tuple((jax.tree_util.GetAttrKey(name), getattr(value, name)) for name in names), options(value)

    def unflatten(given: tuple[object, ...], leaves: Iterable[object]) -> T:
        return cls(**dict(zip(names, leaves, strict=True)), **dict(zip(fixed, given, strict=True)))

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def static(default: str) -> Any:
    """Return a field that is no leaf: an option that picks the program, so that another value of it is another program."""
    return field(default=default, metadata={"static": True})
