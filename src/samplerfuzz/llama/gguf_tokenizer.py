"""A tokenizer from the metadata of a GGUF file.

Keys and token types: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Pre-tokenizers: `smollm` parts every digit and then splits
as GPT-2 does; `llama-bpe` splits by Llama 3's expression and takes a whole word that is in the vocabulary without merging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from samplerfuzz.core.errors import ModelError
from samplerfuzz.llama.byte_level import spelled_bytes
from samplerfuzz.llama.sentencepiece import SPACE, merges_from_scores, piece_bytes
from samplerfuzz.llama.tokenizer import Tokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _smollm() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])


def _llama_bpe() -> pre_tokenizers.PreTokenizer:
    words = pre_tokenizers.Split(Regex(_LLAMA3), behavior="isolated")
    return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


PRE_TOKENIZERS: dict[str, Callable[[], pre_tokenizers.PreTokenizer]] = {"smollm": _smollm, "llama-bpe": _llama_bpe}


class Metadata(Protocol):
    """The metadata of one file; `metadata` raises ModelError for a key that is absent without a default or of another type."""

    path: Any

    def metadata(self, key: str, kind: type, default: Any = None) -> Any:
        """Return the value of `key`."""


def tokenizer_from_gguf(file: Metadata) -> Tokenizer:
    """Return the tokenizer that the metadata of `file` describes.

    Raises:
        ModelError: a key is missing or of another type, an unknown model or pre-tokenizer, lists of different lengths, a merge that is none.
    """
    kind = file.metadata("tokenizer.ggml.model", str)
    if kind == "gpt2":
        return _byte_level(file)
    if kind == "llama":
        return _sentencepiece(file)
    raise ModelError(f"{file.path}: metadata 'tokenizer.ggml.model': expected 'gpt2' or 'llama', found {kind!r}")


def _tokens_and_types(file: Metadata) -> tuple[list[str], list[int]]:
    tokens = file.metadata("tokenizer.ggml.tokens", list)
    if not tokens or not all(isinstance(token, str) for token in tokens):
        raise ModelError(
            f"{file.path}: metadata 'tokenizer.ggml.tokens': expected a list of strings, found {len(tokens)} item(s), not all strings"
        )
    types = file.metadata("tokenizer.ggml.token_type", list, [NORMAL] * len(tokens))
    if len(types) != len(tokens):
        raise ModelError(
            f"{file.path}: metadata 'tokenizer.ggml.token_type': expected {len(tokens)} items, one a token, found {len(types)}"
        )
    return tokens, types


def _byte_level(file: Metadata) -> Tokenizer:
    name = file.metadata("tokenizer.ggml.pre", str)
    if name not in PRE_TOKENIZERS:
        raise ModelError(f"{file.path}: metadata 'tokenizer.ggml.pre': expected one of {sorted(PRE_TOKENIZERS)}, found {name!r}")
    tokens, types = _tokens_and_types(file)
    merges = []
    for index, line in enumerate(file.metadata("tokenizer.ggml.merges", list)):
        left, _, right = str(line).partition(" ")
        if not left or not right or " " in right:
            raise ModelError(f"{file.path}: metadata 'tokenizer.ggml.merges'[{index}]: expected two pieces and one space, found {line!r}")
        merges.append((left, right))
    backend = _backend(file, lambda: models.BPE(_ids(tokens), merges, ignore_merges=name == "llama-bpe"))
    backend.pre_tokenizer = PRE_TOKENIZERS[name]()
    backend.decoder = decoders.ByteLevel()
    pieces = tuple(
        spelled_bytes(token) if kind in (NORMAL, UNUSED) else token.encode("utf-8", "replace")
        for token, kind in zip(tokens, types, strict=True)
    )
    return _finish(file, backend, tokens, types, pieces=pieces, adds_bos=name == "llama-bpe", adds_space=False)


def _sentencepiece(file: Metadata) -> Tokenizer:
    tokens, types = _tokens_and_types(file)
    scores = file.metadata("tokenizer.ggml.scores", list)
    if len(scores) != len(tokens):
        raise ModelError(f"{file.path}: metadata 'tokenizer.ggml.scores': expected {len(tokens)} items, one a token, found {len(scores)}")
    normal = {token: score for token, score, kind in zip(tokens, scores, types, strict=True) if kind == NORMAL}
    unknown = next((token for token, kind in zip(tokens, types, strict=True) if kind == UNKNOWN), None)
    backend = _backend(
        file, lambda: models.BPE(_ids(tokens), merges_from_scores(normal), unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    adds_space = file.metadata("tokenizer.ggml.add_space_prefix", bool, True)
    spaces = normalizers.Replace(" ", SPACE)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), spaces]) if adds_space else spaces
    backend.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    pieces = tuple(
        piece_bytes(token) if kind in (NORMAL, BYTE) else token.encode("utf-8", "replace")
        for token, kind in zip(tokens, types, strict=True)
    )
    return _finish(file, backend, tokens, types, pieces=pieces, adds_bos=True, adds_space=adds_space)


def _ids(tokens: Iterable[str]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for index, token in enumerate(tokens):
        ids.setdefault(token, index)
    return ids


def _backend(file: Metadata, make: Callable[[], models.Model]) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer(make())
    except Exception as error:  # the library raises nothing more precise
        raise ModelError(f"{file.path}: metadata 'tokenizer.ggml.merges': expected merges of pieces in the vocabulary: {error}") from error


def _finish(
    file: Metadata, backend: tokenizers.Tokenizer, tokens: list[str], types: list[int],
    *, pieces: tuple[bytes, ...], adds_bos: bool, adds_space: bool,
) -> Tokenizer:  # fmt: skip
    """Add the special tokens and the ids with a meaning of their own; `adds_bos` is the family's habit where the file says nothing."""
    special = [
        AddedToken(token, special=True, normalized=False) for token, kind in zip(tokens, types, strict=True) if kind in (CONTROL, UNKNOWN)
    ]
    backend.add_special_tokens(special)
    backend.add_tokens([AddedToken(token, normalized=False) for token, kind in zip(tokens, types, strict=True) if kind == USER_DEFINED])

    def identifier(name: str) -> int | None:
        key = f"tokenizer.ggml.{name}_token_id"
        value = file.metadata(key, int, -1)
        if value >= len(tokens):
            raise ModelError(f"{file.path}: metadata {key!r}: expected an id in [0, {len(tokens)}), found {value}")
        return None if value < 0 else value

    ends = dict.fromkeys(token for name in ("eos", "eot", "eom") if (token := identifier(name)) is not None)
    return Tokenizer(
        backend=backend,
        pieces=pieces,
        bos_id=identifier("bos"),
        eos_ids=tuple(ends),
        adds_bos=file.metadata("tokenizer.ggml.add_bos_token", bool, adds_bos),
        special_ids=frozenset(index for index, kind in enumerate(types) if kind in (CONTROL, UNKNOWN)),
        drops_first_space=adds_space,
    )
