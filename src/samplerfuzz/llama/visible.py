"""Text of a model as it may be shown: nothing in it can move the cursor, recolour the terminal or hide."""

from __future__ import annotations


def visible(text: str, *, keep: str = "") -> str:
    r"""Return `text` with every character that is not printable written as an escape, except those in `keep`.

    Control characters, bidirectional and other format characters, unusual spaces and lone surrogates are escaped; a backslash stays as it is,
    so the result is for reading, not for parsing.

    >>> visible("a\x1b[31mb\n", keep="\n")
    'a\\x1b[31mb\n'
    >>> visible("\u202e")
    '\\u202e'
    """
    return "".join(char if char.isprintable() or char in keep else char.encode("unicode_escape").decode("ascii") for char in text)
