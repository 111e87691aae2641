"""The page of a probe: of every section whose data lie in its folder. Every token is shown escaped: a model may have any text in its vocabulary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

import samplerfuzz
from samplerfuzz.core.errors import UsageError
from samplerfuzz.report.pages import template
from samplerfuzz.report.probe.data import configuration_label
from samplerfuzz.report.probe.plots import INSTALL, MARKED, kept_label, kept_median, plots
from samplerfuzz.report.text import number, rounded

SECTIONS = ("atlas", "census", "replication", "batch")
PAGE = "report.html"
_SHOWN = 24
# inverse temperatures of the table of what is kept
_KEPT_AT = {"T = 0.25": 4.0, "T = 0.5": 2.0, "T = 1": 1.0, "T = 2": 0.5, "T = 4": 0.25, "T = ±∞": 0.0, "T = −1": -1.0}


def write_section(folder: Path, data: dict[str, Any]) -> Path:
    """Write one section's data into the folder, and the page of all sections there are of the same model; return the page.

    Where another section was written by a version that this one does not understand, the page is of this section alone.

    Raises:
      OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / f"{data['section']}.json", json.dumps(data, ensure_ascii=True, allow_nan=False, indent=1) + "\n")
    found = {name: section for name, section in read_sections(folder).items() if section["model"] == data["model"]}
    try:
        page = probe_page(found)
    except UsageError:
        page = probe_page({data["section"]: data})
    _replace(folder / PAGE, page)
    return folder / PAGE


def read_sections(folder: Path) -> dict[str, dict[str, Any]]:
    """Return name -> data of each section that lies in the folder.

    Raises:
      UsageError: a file that is no section of a probe.
    """
    found = {}
    for name in SECTIONS:
        file = folder / f"{name}.json"
        if not file.exists():
            continue
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{file}: expected what `samplerfuzz probe` writes ({error}); remove it, or name another directory") from error
        if not isinstance(data, dict) or data.get("section") != name:
            raise UsageError(f"{file}: expected the section {name!r} of a probe; remove it, or name another directory")
        found[name] = data
    return found


def probe_page(sections: dict[str, dict[str, Any]]) -> str:
    """Return the page of some sections' data, all of one model.

    Raises:
      UsageError: a section lacks what the page shows: another version wrote it.
    """
    with of_this_version(sections):
        return _page(sections)


@contextmanager
def of_this_version(names: Iterable[object]) -> Iterator[None]:
    """Turn what the body misses in the data of these sections or directories into a UsageError that names them and the next step."""
    try:
        yield
    except (KeyError, jinja2.UndefinedError) as error:
        raise UsageError(
            f"{', '.join(map(str, names))}: one of them was written by another version ({error}); take it again, or name another directory"
        ) from error


def _page(sections: dict[str, dict[str, Any]]) -> str:
    return _template().render(
        model=next(iter(sections.values()))["model"],
        sections={name: sections.get(name) for name in SECTIONS},
        version=samplerfuzz.__version__,
        install=INSTALL,
        number=number,
        shown=_SHOWN,
        **probe_parts(sections),
    )


def probe_parts(sections: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what the templates of the sections need besides their data."""
    atlas = sections.get("atlas")
    return {
        "short": rounded,
        "label": configuration_label,
        "plots": {name: plots(data) for name, data in sections.items()},
        **(_atlas(atlas) if atlas else {"broken": [], "least": []}),
    }


def _atlas(data: dict[str, Any]) -> dict[str, Any]:
    least = Counter((row["bottom"][0]["text"], row["bottom"][0]["token"]) for row in data["rows"])
    at = [[float(beta) for beta in data["beta"]].index(beta) for beta in MARKED.values()]
    names = [law["law"] for law in data["rows"][0]["laws"]]
    worst = {name: max(float(law["worst"]) for row in data["rows"] for law in row["laws"] if law["law"] == name) for name in names}
    return {
        "marked": list(MARKED),
        "entropies": [[number(float(row["entropy"][index])) for index in at] for row in data["rows"]],
        "least": [(text, token, count) for (text, token), count in least.most_common(_SHOWN)],
        "kept_at": list(_KEPT_AT),
        "kept": _kept(data),
        "laws": [(name, value, value <= 1) for name, value in worst.items()],
        "broken": [name for name, value in worst.items() if not value <= 1],
    }


def _kept(atlas: dict[str, Any]) -> list[tuple[str, bool, list[tuple[int, float]]]]:
    """Return of each technique its label, whether it keeps the same tokens at every T > 0, and count and mass at `_KEPT_AT`."""
    at = [[float(beta) for beta in atlas["kept_beta"]].index(beta) for beta in _KEPT_AT.values()]
    found = []
    for technique in atlas["rows"][0]["kept"]:
        counts, masses = (kept_median(atlas, technique, what)[at].tolist() for what in ("count", "mass"))
        same = all(row["kept"][technique]["same_tokens"] for row in atlas["rows"])
        found.append((kept_label(atlas, technique), same, [(round(count), mass) for count, mass in zip(counts, masses, strict=True)]))
    return found


def _replace(file: Path, text: str) -> None:
    written = file.with_suffix(file.suffix + ".part")
    written.write_text(text, encoding="utf-8")
    written.replace(file)


@cache
def _template() -> jinja2.Template:
    return template("probe.html.j2")
