"""Frozen dataclasses as pytrees whose structure tells their class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TypeVar

import jax

T = TypeVar("T")


def pytree(cls: type[T]) -> type[T]:
    """Register a dataclass whose fields are all leaves or pytrees.

    Not `jax.tree_util.register_dataclass`: in jaxlib 0.10.2 two classes registered with it, having as many fields, give structures that compare equal
    though their hashes differ. A jit cache keyed on them now and then runs the program of the other class: top-k came out as temperature.

    Example:
      >>> import jax
      >>> from samplerfuzz import samplers
      >>> jax.tree.structure(samplers.temperature(1.0)) == jax.tree.structure(samplers.top_p(1.0))
      False
    """
    names = tuple(field.name for field in fields(cls))  # type: ignore[arg-type]

    def flatten(value: T) -> tuple[tuple[object, ...], None]:
        return tuple(getattr(value, name) for name in names), None

    def flatten_with_keys(value: T) -> tuple[tuple[tuple[jax.tree_util.GetAttrKey, object], ...], None]:
        return tuple((jax.tree_util.GetAttrKey(name), getattr(value, name)) for name in names), None

    def unflatten(_: None, leaves: Iterable[object]) -> T:
        return cls(**dict(zip(names, leaves, strict=True)))

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
