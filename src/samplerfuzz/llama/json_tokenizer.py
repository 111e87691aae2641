"""A tokenizer from a Hugging Face `tokenizer.json`, with what the files beside it say of begin and end tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizers

from samplerfuzz.core.errors import ModelError
from samplerfuzz.llama.byte_level import spelled_bytes
from samplerfuzz.llama.sentencepiece import piece_bytes
from samplerfuzz.llama.tokenizer import Tokenizer

_PROBE = "a"


def tokenizer_from_json(path: Path) -> Tokenizer:
    """Return the tokenizer of the file `path`.

    Raises:
        ModelError: damaged, of a kind that is neither byte-level nor SentencePiece-like, or with a template this project cannot follow.
    """
    data = _object(path)
    if data is None:
        raise ModelError(f"{path}: expected a tokenizer.json, found nothing there")
    try:
        backend = tokenizers.Tokenizer.from_str(json.dumps(data))
    except Exception as error:  # the library raises nothing more precise
        raise ModelError(f"{path}: expected a tokenizer of the `tokenizers` library, found: {error}") from error
    backend.no_padding()
    backend.no_truncation()
    decoders = _types(data.get("decoder"))
    if "ByteLevel" in decoders:
        spell = spelled_bytes
    elif "ByteFallback" in decoders or "Metaspace" in decoders:
        spell = piece_bytes
    else:
        raise ModelError(f"{path}: decoder: expected ByteLevel, ByteFallback or Metaspace, found {sorted(decoders) or 'none'}")
    added = backend.get_added_tokens_decoder()
    vocabulary = backend.get_vocab(with_added_tokens=True)
    pieces = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for token, index in vocabulary.items():
        pieces[index] = token.encode("utf-8") if index in added else spell(token)
    special_ids = frozenset(index for index, token in added.items() if token.special)
    settings = _object(path.with_name("tokenizer_config.json")) or {}
    bos_id = _id_of(settings.get("bos_token"), backend)
    prefix = _prefix(backend, path)
    if len(prefix) > 1 or (prefix and bos_id not in (None, prefix[0])):
        raise ModelError(f"{path}: post_processor: expected at most the begin token before a text, found ids {prefix}")
    return Tokenizer(
        backend=backend,
        pieces=tuple(pieces),
        bos_id=prefix[0] if prefix else bos_id,
        eos_ids=_end_ids(path.parent, _id_of(settings.get("eos_token"), backend)),
        adds_bos=bool(prefix),
        special_ids=special_ids,
        drops_first_space=spell is piece_bytes and bool({"Strip", "Metaspace"} & decoders),
    )


def _object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in `path`, None where there is no such file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: expected a JSON file, found damage: {error}") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path}: expected a JSON object, found {type(data).__name__}")
    return data


def _types(part: Any) -> set[str]:
    """Return the types of a decoder and of those in it."""
    if not isinstance(part, dict):
        return set()
    inner = part.get("decoders")
    return {str(part.get("type"))}.union(*(_types(one) for one in inner if inner)) if isinstance(inner, list) else {str(part.get("type"))}


def _prefix(backend: tokenizers.Tokenizer, path: Path) -> list[int]:
    bare = list(backend.encode(_PROBE, add_special_tokens=False).ids)
    full = list(backend.encode(_PROBE, add_special_tokens=True).ids)
    if full[len(full) - len(bare) :] != bare:
        raise ModelError(
            f"{path}: post_processor: expected tokens before a text only, found ids {full} for {_PROBE!r}, {bare} of them its own"
        )
    return full[: len(full) - len(bare)]


def _id_of(token: Any, backend: tokenizers.Tokenizer) -> int | None:
    """Return the id of a token written as a string or as an object with `content`."""
    text = token.get("content") if isinstance(token, dict) else token
    return backend.token_to_id(text) if isinstance(text, str) else None


def _end_ids(directory: Path, first: int | None) -> tuple[int, ...]:
    ends = [] if first is None else [first]
    for name in ("generation_config.json", "config.json"):
        value = (_object(directory / name) or {}).get("eos_token_id")
        ends += [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int) and not isinstance(one, bool)]
    return tuple(dict.fromkeys(ends))
