"""Defaults of `samplerfuzz fuzz` from a file of the project: samplerfuzz.toml, or `[tool.samplerfuzz]` in pyproject.toml."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samplerfuzz.core.errors import UsageError

FILES = ("samplerfuzz.toml", "pyproject.toml")
# what a person at the keyboard, a pull request and a night have time for
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "dev": {"max_time": 20.0},
    "ci": {"max_time": 75.0, "fail_on": "medium"},
    "nightly": {"max_time": 3600.0, "fail_on": "low"},
}


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What the file says.

    Attributes:
      path: the file, or None.
      options: option name with underscores -> value, of the table itself.
      profiles: name -> options; the built-in ones, changed and added to by the file.
    """

    path: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: PROFILES)

    def defaults(self, profile: str | None) -> dict[str, Any]:
        """Return the options of the file with those of a profile (or the one that the file names) above them.

        Raises:
          UsageError: no such profile.
        """
        options = dict(self.options)
        name = profile or options.pop("profile", None)
        options.pop("profile", None)
        if name is None:
            return options
        if name not in self.profiles:
            raise UsageError(
                f"no profile {name!r}; known: {', '.join(self.profiles)}; `[profiles.{name}]` in samplerfuzz.toml would make one"
            )
        return {**options, **self.profiles[name]}


def configuration(known: Iterable[str], file: Path | None = None) -> Configuration:
    """Return what `file` says, or the project's own in the working directory; an empty one where there is none.

    Args:
      known: names of options that may be set.

    Raises:
      UsageError: the file is no TOML, sets something unknown, or both files are there.
    """
    files = [file] if file is not None else [path for name in FILES if (path := Path(name)).is_file()]
    found = [(path, table) for path in files if (table := _table(path)) is not None]
    if not found:
        return Configuration()
    if len(found) > 1:
        raise UsageError(f"samplerfuzz is configured twice, in {found[0][0]} and in {found[1][0]}; keep one")
    path, table = found[0]
    names = [*known, "profile", "targets"]
    profiles = table.pop("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise UsageError(f"{path}: profiles is a table of tables, like [profiles.nightly]")
    mine = {name: _options(path, f"profiles.{name}.", options, names[:-2]) for name, options in profiles.items()}
    merged = {name: {**PROFILES.get(name, {}), **mine.get(name, {})} for name in dict.fromkeys([*PROFILES, *mine])}
    return Configuration(path=path, options=_options(path, "", table, names), profiles=merged)


def _table(path: Path) -> dict[str, Any] | None:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    if path.name != "pyproject.toml":
        return data
    table: dict[str, Any] | None = data.get("tool", {}).get("samplerfuzz")
    return table


def _options(path: Path, where: str, table: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    options = {}
    known = list(known)
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0].replace('_', '-')!r}? " if close else ""
            raise UsageError(f"{path}: unknown setting {where + key!r}; {hint}known: {', '.join(n.replace('_', '-') for n in known)}")
        options[name] = ",".join(value) if name in ("checks", "exclude_checks") and isinstance(value, list) else value
    targets = options.get("targets", [])
    if not isinstance(targets, list) or not all(isinstance(t, str) for t in targets):
        raise UsageError(f'{path}: targets is a list of texts, like ["samplers.py:sample"]; got {targets!r}')
    return options
