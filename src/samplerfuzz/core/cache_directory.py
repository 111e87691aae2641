"""Where what was fetched, installed or compiled lies between runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

VARIABLE = "SAMPLERFUZZ_CACHE"


def cache_directory(what: str) -> Path:
    """Return the directory of one kind of thing: `$SAMPLERFUZZ_CACHE/what`, else in the user's cache directory of the platform."""
    chosen = os.environ.get(VARIABLE)
    return (Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("samplerfuzz"))) / what
