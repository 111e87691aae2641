"""A tokenizer from a path: a GGUF file, a Hugging Face directory or its tokenizer.json."""

from __future__ import annotations

from pathlib import Path

from samplerfuzz.core.errors import ModelError
from samplerfuzz.llama.tokenizer import Tokenizer


def load_tokenizer(path: Path | str) -> Tokenizer:
    """Load the tokenizer that lies with the model at `path`.

    Raises:
        ModelError: nothing there, damage, a tokenizer of a kind this project does not know; names the file, the key and what was expected.
    """
    found = Path(path)
    if found.is_dir():
        found = found / "tokenizer.json"
    if not found.exists():
        raise ModelError(f"{found}: expected a GGUF file or a tokenizer.json, found nothing there")
    if found.suffix == ".json":
        from samplerfuzz.llama.json_tokenizer import tokenizer_from_json

        return tokenizer_from_json(found)
    from samplerfuzz.llama.gguf_file import GGUFTensors
    from samplerfuzz.llama.gguf_tokenizer import tokenizer_from_gguf

    return tokenizer_from_gguf(GGUFTensors(found))
