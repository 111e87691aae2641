"""Where a target's function stands in the sources, for tools that point at lines."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from samplerfuzz.targets.libraries.opening import named


@dataclass(frozen=True)
class Place:
    """A file, relative to the working directory where it lies below it, and a line; 1 where the function was not found in it."""

    file: str
    line: int


def place_of(locator: str) -> Place | None:
    """Return the place of `FILE.py:NAME` or `package.module:NAME`; None where there is no source file. Nothing is executed."""
    where, _, name = locator.rpartition(":")
    if not where or locator.startswith("builtin:") or named(locator) is not None:
        return None
    path = Path(where) if where.endswith(".py") else _origin(where)
    if path is None:
        return None
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return Place(_relative(path), 1)
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    lines = [node.lineno for node in ast.walk(tree) if isinstance(node, kinds) and node.name == name.split(".")[0]]
    return Place(_relative(path), lines[0] if lines else 1)


def _origin(module: str) -> Path | None:
    parts = module.split(".")
    for root in (Path(), Path("src")):
        for path in (root.joinpath(*parts).with_suffix(".py"), root.joinpath(*parts, "__init__.py")):
            if path.is_file():
                return path
    if len(parts) > 1:
        return None  # finding it would import its package
    specification = importlib.util.find_spec(module)
    return Path(specification.origin) if specification is not None and specification.has_location and specification.origin else None


def _relative(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()
