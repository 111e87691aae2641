"""Which headers go on: those about the message, not those about one connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Raw = Sequence[tuple[bytes, bytes]]
_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    )
)
DECISION, REWRITTEN = OWN = (b"x-samplerfuzz-decision", b"x-samplerfuzz-rewritten")


def end_to_end(headers: Raw, *, without: Iterable[bytes] = ()) -> list[tuple[bytes, bytes]]:
    """Return the headers that are sent on: none of one connection, none that Connection names, none of `without`.

    >>> end_to_end([(b"connection", b"close, x-mine"), (b"x-mine", b"1"), (b"accept", b"*/*")])
    [(b'accept', b'*/*')]
    """
    dropped = {*_HOP, *without}
    for name, value in headers:
        if name.lower() == b"connection":
            dropped |= {word.strip().lower() for word in value.split(b",")}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def one(headers: Raw, name: bytes) -> bytes | None:
    """Return the value of a header that is there once; None where it is absent; b"" where it is there twice and says nothing."""
    found = [value for key, value in headers if key.lower() == name]
    return None if not found else found[0] if len(found) == 1 else b""


def to_upstream(headers: Raw, *, host: str, length: int | None, plain: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request to the server.

    Args:
      headers: those of the client.
      host: the server's authority.
      length: of the body, None for none.
      plain: whether the answer is to come uncompressed, so that it can be watched.
    """
    replaced = {b"host", b"content-length", b"expect", *OWN, *((b"accept-encoding",) if plain else ())}
    kept = end_to_end(headers, without=replaced)
    new = [(b"host", host.encode())]
    if plain:
        new.append((b"accept-encoding", b"identity"))
    if length is not None:
        new.append((b"content-length", str(length).encode()))
    return [*new, *kept]


def size(headers: Raw) -> int:
    """Return how many bytes the headers take on the wire."""
    return sum(len(name) + len(value) + 4 for name, value in headers)
