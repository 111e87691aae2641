"""Text to token ids and back, exact to the byte, also in pieces.

Encoding is the `tokenizers` library's; decoding goes through the bytes of each token, so that a character split over several tokens is
shown when it is whole and not before.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import tokenizers

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.llama.visible import visible


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """A vocabulary and how text becomes tokens of it. Made by `load_tokenizer`."""

    backend: tokenizers.Tokenizer
    pieces: tuple[bytes, ...]  # the bytes of every token id; b"" for an id without text
    bos_id: int | None  # put before a prompt when `adds_bos`
    eos_ids: tuple[int, ...]  # tokens that end a text
    adds_bos: bool
    special_ids: frozenset[int]  # control tokens: in a prompt their text stands for them
    drops_first_space: bool  # SentencePiece puts a space before a text; decoding takes it away

    @property
    def vocab_size(self) -> int:
        """Ids the tokenizer knows, V; a model's may be larger, padded."""
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`; a special token's text becomes that token, and the begin token comes first where the model wants it.

        A byte that the vocabulary cannot spell is left out, as transformers does (SmolLM2 lacks 0x04 and 0xF1, among others).

        Raises:
            ParameterError: `text` holds a lone surrogate, which no UTF-8 text does.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ParameterError(
                f"text: expected Unicode, found a lone surrogate {text[error.start]!r} at character {error.start}"
            ) from error
        ids = list(self.backend.encode(text, add_special_tokens=False).ids)
        return [self.bos_id, *ids] if self.adds_bos and self.bos_id is not None else ids

    def decode(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        """Return the text of `ids`; bytes that are no UTF-8 become U+FFFD. `skip_special` leaves out the control tokens.

        Raises:
            ParameterError: an id outside [0, V).
        """
        stream = self.stream(skip_special=skip_special)
        return "".join(stream.feed(token) for token in ids) + stream.finish()

    def stream(self, *, skip_special: bool = False, after: Sequence[int] = ()) -> TextStream:
        """Return a decoder that is fed one id at a time; `after`: ids that come before, whose text is not wanted."""
        stream = TextStream(self, skip_special=skip_special)
        for token in after:
            stream.feed(token)
        return stream

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of one token.

        Raises:
            ParameterError: an id outside [0, V).
        """
        if not 0 <= token < len(self.pieces):
            raise ParameterError(f"token id {token}: expected one in [0, {len(self.pieces)})")
        return self.pieces[token]

    def token_text(self, token: int) -> str:
        r"""Return one token for display: printable, on one line, bytes that are no whole character as `\xNN`."""
        return visible(self.token_bytes(token).decode("utf-8", "backslashreplace"))


class TextStream:
    """Turns ids into text as they come and holds back a character until its last byte is there."""

    def __init__(self, tokenizer: Tokenizer, *, skip_special: bool) -> None:
        self._tokenizer = tokenizer
        self._skips_special = skip_special
        self._bytes = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._drops_space = tokenizer.drops_first_space

    def feed(self, token: int) -> str:
        """Return the text that `token` completes, often the whole of it, sometimes nothing."""
        piece = self._tokenizer.token_bytes(token)
        if token in self._tokenizer.special_ids:
            return self.finish() + ("" if self._skips_special else piece.decode("utf-8", "replace"))
        if self._drops_space and piece:
            piece, self._drops_space = piece.removeprefix(b" "), False
        return self._bytes.decode(piece)

    def finish(self) -> str:
        """Return what was held back: U+FFFD for bytes that never became a character, else nothing."""
        rest = self._bytes.decode(b"", final=True)
        self._bytes.reset()
        return rest
