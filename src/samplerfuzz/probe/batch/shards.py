"""Results on disk: whole shards or none, each saying of which plan it is and which blocks it holds.

A shard is written under another name, flushed to the disk and then renamed; what a killed run was writing is never taken for a result.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from samplerfuzz.core.errors import UsageError

PLAN, RESULTS, SUMMARY = "plan.json", "results.jsonl", "summary.json"
_PATTERN = "shard-*.jsonl"


def shard_name(process: int, block: int) -> str:
    """Return the name of the shard that begins with a block.

    >>> shard_name(1, 42)
    'shard-0001-000042.jsonl'
    """
    return f"shard-{process:04d}-{block:06d}.jsonl"


def write_shard(folder: Path, process: int, sha256: str, blocks: Sequence[int], lines: Iterable[str]) -> Path:
    """Write the lines of some blocks, in the order of their rows."""
    head = json.dumps({"plan": sha256, "blocks": list(blocks)})
    return write_whole(folder / shard_name(process, blocks[0]), (head, *lines))


def write_whole(path: Path, lines: Iterable[str]) -> Path:
    """Write a file so that it is there whole or not at all, also after the power fails."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="ascii") as file:
            for line in lines:
                file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path


def remove_unfinished(folder: Path, process: int) -> None:
    """Remove what a killed run of this process was writing."""
    for path in folder.glob(f".shard-{process:04d}-*"):
        path.unlink(missing_ok=True)


def finished(folder: Path, sha256: str) -> dict[int, Path]:
    """Return block -> the shard that holds it.

    Raises:
      UsageError: a shard of another plan, or none of ours.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.glob(_PATTERN)):
        with path.open(encoding="ascii", errors="replace") as file:
            head = _parsed(file.readline(), path)
        if head.get("plan") != sha256:
            raise UsageError(f"{path}: belongs to another batch; move it away, or name another directory")
        found.update({int(block): path for block in head["blocks"]})
    return found


def recorded_plan(folder: Path) -> dict[str, Any] | None:
    """Return what `plan.json` says; None where there is none."""
    path = folder / PLAN
    if not path.exists():
        return None
    return _parsed(path.read_text(encoding="utf-8", errors="replace"), path)


def lines_in_order(blocks: Mapping[int, Path], block_size: int, rows: int) -> Iterator[str]:
    """Return the lines of all rows, first to last.

    Raises:
      UsageError: a shard that holds fewer lines than it says.
    """
    here: dict[int, list[str]] = {}
    for block in range(-(-rows // block_size)):
        size = min(block_size, rows - block * block_size)
        if block not in here:
            here.update(_lines_by_block(blocks[block], block_size))
        lines = here.pop(block)
        if len(lines) != size:
            raise UsageError(f"{blocks[block]}: block {block} has {len(lines)} rows, expected {size}; delete the file and run again")
        yield from lines


def _lines_by_block(path: Path, block_size: int) -> dict[int, list[str]]:
    with path.open(encoding="ascii", errors="replace") as file:
        found: dict[int, list[str]] = {int(block): [] for block in _parsed(file.readline(), path)["blocks"]}
        for line in file:
            row = _parsed(line, path).get("row")
            block = row // block_size if isinstance(row, int) else -1
            if block not in found:
                raise UsageError(f"{path}: holds row {row}, which is none of its own; delete the file and run again")
            found[block].append(line.removesuffix("\n"))
    return found


def _parsed(line: str, path: Path) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}: expected lines of JSON, found {line[:40]!r}; delete the file and run again") from error
    if not isinstance(told, dict):
        raise UsageError(f"{path}: expected JSON objects, found {line[:40]!r}; delete the file and run again")
    return told
