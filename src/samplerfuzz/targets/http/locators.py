"""URLs as locators of targets."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from samplerfuzz.core.errors import UsageError

_SCHEMES = ("http://", "https://")


def is_url(locator: str) -> bool:
    """Whether a locator names a server."""
    return locator.startswith(_SCHEMES)


def checked_url(locator: str, *, allow_network: bool) -> str:
    """Return the base URL of a server.

    Raises:
      UsageError: no such URL, or a host beyond this machine without `allow_network`.
    """
    try:
        parts = urlsplit(locator)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{locator} is no URL: {error}; name a server such as http://127.0.0.1:8080") from error
    if not host or parts.query or parts.fragment:
        raise UsageError(f"{locator} names no server; name one such as http://127.0.0.1:8080")
    if not allow_network and not _is_loopback(host):
        raise UsageError(
            f"{host} is another machine; hostile requests go to this one only (127.0.0.0/8, ::1, localhost); --allow-network sends them"
        )
    return locator.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
