"""Which model it is: checksums of the files that hold its weights and its tokenizer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def model_sha256(path: Path) -> str:
    """Return the checksum of the weights at `path`: of a GGUF file, or of a directory's safetensors in the order of their names."""
    return _sha256(sorted(path.glob("*.safetensors")) if path.is_dir() else [path])


def tokenizer_sha256(path: Path) -> str:
    """Return the checksum of the tokenizer at `path`; a GGUF file holds it among its weights."""
    return _sha256([path / "tokenizer.json"] if path.is_dir() else [path])


def _sha256(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
