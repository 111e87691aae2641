"""What kind of token an id is, as its tokenizer tells."""

from __future__ import annotations

import numpy as np

from samplerfuzz.llama.tokenizer import Tokenizer

SPECIAL, UNDECODABLE, UNREACHABLE, ORDINARY, PADDING = "special", "undecodable", "unreachable", "ordinary", "padding"


def categories(tokenizer: Tokenizer, vocabulary: int) -> np.ndarray:
    """Return [V] the category of every id of a model with `vocabulary` rows.

    special: a control token. undecodable: its bytes are no whole characters. unreachable: its own text is encoded to other ids, so no text of
    one token leads to it. padding: a row of the model that the tokenizer has no id for. ordinary: the rest.
    """
    found = np.full(vocabulary, PADDING, dtype="U11")
    for token in range(min(vocabulary, tokenizer.vocab_size)):
        found[token] = _category(tokenizer, token)
    return found


def _category(tokenizer: Tokenizer, token: int) -> str:
    piece = tokenizer.token_bytes(token)
    if token in tokenizer.special_ids or not piece:
        return SPECIAL
    try:
        text = piece.decode("utf-8")
    except UnicodeDecodeError:
        return UNDECODABLE
    ids = tokenizer.encode(text)
    return ORDINARY if ids[tokenizer.adds_bos :] == [token] else UNREACHABLE
