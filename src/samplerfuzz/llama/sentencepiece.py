"""SentencePiece-style vocabularies (LLaMA 1 and 2): spaces are `▁`, unknown characters fall back to byte tokens `<0xNN>`.

Encoding merges the neighbouring pair whose union has the best score until no union is in the vocabulary. That is BPE with every split of
every piece as a merge, ranked by the piece's score. Source: Kudo & Richardson, "SentencePiece" (2018).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SPACE = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def merges_from_scores(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return the merges of the pieces in `scores`, best first; among equal scores the earlier piece, then the shorter left part.

    >>> merges_from_scores({"a": 0, "b": 0, "ab": -2, "ba": -1})
    [('b', 'a'), ('a', 'b')]
    """
    ordered = sorted(scores, key=lambda piece: -scores[piece])
    return [
        (piece[:cut], piece[cut:])
        for piece in ordered
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]  # fmt: skip


def piece_bytes(piece: str) -> bytes:
    """Return the bytes of a vocabulary entry.

    >>> piece_bytes("▁is"), piece_bytes("<0x0A>")
    (b' is', b'\\n')
    """
    byte = _BYTE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace(SPACE, " ").encode("utf-8", "replace")
