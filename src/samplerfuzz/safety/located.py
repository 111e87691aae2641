"""A TOML or YAML file as data, with the line of every key, so that an error can say where.

YAML is read by the safe loader, and stricter than it: a key that stands twice, an alias and a merge are errors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplerfuzz.core.errors import UsageError

Key = tuple[str, ...]
_HEADER = re.compile(r"\[+\s*([^\[\]#]+?)\s*\]+")
_ASSIGNED = re.compile(r"""((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PIECE = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_DEEPEST = 16
_LARGEST = 2**20  # bytes


@dataclass(frozen=True, kw_only=True)
class Located:
    """What a file says, and where.

    Attributes:
      path: of the file.
      data: what it says.
      lines: key -> line, from 1 on; a key within an inline table may lack one.
    """

    path: Path
    data: dict[str, Any]
    lines: dict[Key, int]

    def where(self, key: Key) -> str:
        """Return "file:line: a.b: ", with the line of the nearest key above where its own is not known."""
        nearest = next((self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines), None)
        line = f":{nearest}" if nearest is not None else ""
        return f"{self.path}{line}: " + (f"{'.'.join(key)}: " if key else "")

    def error(self, problems: Iterable[tuple[Key, str]]) -> UsageError:
        """Return one error for all problems, a line each, in the order of the file."""
        ordered = sorted(problems, key=lambda p: self.lines.get(p[0][:1], 0) if len(p[0]) < 2 else self.lines.get(p[0], 0))
        return UsageError("\n".join(self.where(key) + message for key, message in ordered))


def read_located(path: Path) -> Located:
    """Read a file that ends in .toml, .yaml or .yml.

    Raises:
      UsageError: it cannot be read, has another ending or a wrong syntax, holds no table, or a key twice.
    """
    if path.suffix not in (".toml", ".yaml", ".yml"):
        raise UsageError(f"{path}: expected a file that ends in .toml, .yaml or .yml; `samplerfuzz policy init` writes one")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    if len(raw) > _LARGEST:
        raise UsageError(f"{path}: {len(raw):,} bytes; expected at most {_LARGEST:,}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: no UTF-8 from byte {error.start} on") from error
    try:
        return _toml(path, text) if path.suffix == ".toml" else _yaml(path, text)
    except RecursionError:
        raise UsageError(f"{path}: nested too deep; a policy has tables of tables and nothing deeper") from None


def _toml(path: Path, text: str) -> Located:
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError) as error:  # an integer of more than 4300 digits is a plain ValueError
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line = f":{found[1]}" if found else ":1" if "end of document" not in str(error) else f":{text.count(chr(10)) + 1}"
        raise UsageError(f"{path}{line}: no TOML: {error}") from error
    lines: dict[Key, int] = {}
    table: Key = ()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if matched := _HEADER.match(line):
            table = _pieces(matched[1])
            lines.setdefault(table, number)
        elif matched := _ASSIGNED.match(line):
            lines.setdefault((*table, *_pieces(matched[1])), number)
    return Located(path=path, data=data, lines=lines)


def _pieces(text: str) -> Key:
    return tuple(piece.strip("\"'") for piece in _PIECE.findall(text))


def _yaml(path: Path, text: str) -> Located:
    import yaml

    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise UsageError(f"{path}:{line}: no YAML: the character {error.character!r}") from error
    lines: dict[Key, int] = {}

    def fail(mark: Any, message: str) -> UsageError:
        return UsageError(f"{path}:{mark.line + 1}: {message}")

    def value_of(node: yaml.Node, key: Key) -> Any:
        if len(key) > _DEEPEST:
            raise fail(node.start_mark, "nested too deep; a policy has tables of tables and nothing deeper")
        if not isinstance(node, yaml.ScalarNode) and node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise fail(node.start_mark, f"the tag {tag}; a policy uses none")
        if isinstance(node, yaml.MappingNode):
            return table_of(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [value_of(item, (*key, str(i))) for i, item in enumerate(node.value)]
        return loader.construct_object(node)

    def table_of(node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = getattr(name_node, "value", None)
            if not isinstance(name, str) or name_node.tag != "tag:yaml.org,2002:str":
                raise fail(name_node.start_mark, f"a key that is no text, or a merge: {str(name)[:40]!r}; write every key out")
            if name in table:
                first = lines[(*key, name)]
                raise fail(name_node.start_mark, f"{'.'.join((*key, name))}: stands twice, first on line {first}; keep one")
            lines[(*key, name)] = name_node.start_mark.line + 1
            table[name] = value_of(value_node, (*key, name))
        return table

    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                raise fail(token.start_mark, f"the alias *{token.value}; a policy uses none: write the value out")
        root = loader.get_single_node()
        if root is None:
            return Located(path=path, data={}, lines={})
        if not isinstance(root, yaml.MappingNode):
            raise fail(root.start_mark, "expected keys with values")
        return Located(path=path, data=table_of(root, ()), lines=lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UsageError(f"{path}:{mark.line + 1 if mark else 1}: no YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path}:1: no YAML: {str(error).splitlines()[0]}") from error
    finally:
        loader.dispose()
