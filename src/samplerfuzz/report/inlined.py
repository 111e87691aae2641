"""What one function of an adapter needs of its file, as source that stands alone."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from samplerfuzz.targets.libraries.adapter import is_declaration

_LEFT_OUT = frozenset({"LACKS"})


def inlined(file: Path, name: str) -> str:
    """Return the statements of a file that `name` needs, in their order: imports, other functions, constants, and what acts by itself.

    Declarations for samplerfuzz, and its import, are left out.
    """
    lines, statements = _read(file)
    wanted = {name}
    kept: set[int] = set()
    acting = [index for index, statement in enumerate(statements) if not _defines(statement) and not _is_docstring(statement)]
    todo = [*acting]
    while True:
        todo += [index for index, statement in enumerate(statements) if _defines(statement) & wanted and index not in kept]
        new = [index for index in dict.fromkeys(todo) if index not in kept]
        if not new:
            break
        for index in new:
            kept.add(index)
            wanted |= _reads(statements[index]) - _LEFT_OUT
        todo = []
    text, previous = "", None
    for index in sorted(kept):
        statement = statements[index]
        compound = isinstance(statement, ast.FunctionDef | ast.ClassDef)
        text += "" if previous is None else "\n" if not compound and isinstance(statement, type(previous)) else "\n\n"
        text += _source(lines, statement)
        previous = statement
    return text


@cache
def _read(file: Path) -> tuple[list[str], list[ast.stmt]]:
    source = file.read_text(encoding="utf-8")
    return source.splitlines(), [node for node in ast.parse(source).body if not _is_own_import(node)]


def _is_own_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import) and any(alias.name == "samplerfuzz" for alias in node.names)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _defines(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def _reads(node: ast.stmt) -> set[str]:
    declared = [d for d in getattr(node, "decorator_list", ()) if is_declaration(d)]
    of_declarations = {part for d in declared for part in ast.walk(d)}
    loads = (part for part in ast.walk(node) if part not in of_declarations)
    return {part.id for part in loads if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def _source(lines: list[str], node: ast.stmt) -> str:
    first = node.lineno
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        kept = [d for d in node.decorator_list if not is_declaration(d)]
        first = min([node.lineno, *(d.lineno for d in kept)])
    return "\n".join(lines[first - 1 : node.end_lineno])
