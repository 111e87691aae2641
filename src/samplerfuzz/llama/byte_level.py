"""The byte-level alphabet: each of the 256 bytes as one printable character, as in the vocabularies of GPT-2 and its descendants.

Printable Latin-1 characters stand for themselves; the other 68 bytes take U+0100 and on, in order. Source: Radford et al., "GPT-2" (2019).
"""

from __future__ import annotations

from functools import cache


@cache
def bytes_of_characters() -> dict[str, int]:
    """Return character -> byte.

    >>> bytes_of_characters()["Ġ"], bytes_of_characters()["A"], len(bytes_of_characters())
    (32, 65, 256)
    """
    plain = [byte for byte in range(256) if 0x21 <= byte <= 0x7E or (byte >= 0xA1 and byte != 0xAD)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(0x100 + index): byte for index, byte in enumerate(others)}


def spelled_bytes(piece: str) -> bytes:
    """Return the bytes that a vocabulary entry spells; one with a character outside the alphabet stands for its own UTF-8.

    >>> spelled_bytes("Ġis")
    b' is'
    """
    table = bytes_of_characters()
    if all(char in table for char in piece):
        return bytes(table[char] for char in piece)
    return piece.encode("utf-8", "replace")
