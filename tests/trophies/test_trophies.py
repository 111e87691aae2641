"""Every bug that is claimed of released software is written down whole, and shows where the library is installed."""

import importlib.util
import re
import subprocess
import sys

import make_trophies
import pytest

from samplerfuzz.checks.registry import load_all
from samplerfuzz.targets.libraries.catalog import LIBRARIES
from samplerfuzz.targets.libraries.environments import installed

ENTRIES = make_trophies.trophies()
FILES = {entry["reproducer"]: entry for entry in ENTRIES}


def test_the_document_is_what_the_entries_say():
    assert (make_trophies.REPORTS / "TROPHIES.md").read_text("utf-8") == make_trophies.document(), "run tests/trophies/make_trophies.py"


def test_every_reproducer_has_an_entry_and_every_entry_a_reproducer():
    assert {path.name for path in (make_trophies.REPORTS / "trophies").glob("*.py")} == set(FILES)
    assert len(FILES) == len(ENTRIES)


@pytest.mark.parametrize("name", FILES)
def test_an_entry_is_whole(name):
    entry = FILES[name]
    assert set(entry) == set(make_trophies.FIELDS)
    assert all(str(value).strip() for value in entry.values())
    assert entry["severity"] in make_trophies.SEVERITIES
    assert entry["claim"] in load_all()
    assert entry["library"] in LIBRARIES


@pytest.mark.parametrize("name", FILES)
def test_a_reproducer_needs_nothing_of_samplerfuzz(name):
    source = (make_trophies.REPORTS / "trophies" / name).read_text("utf-8")
    compile(source, name, "exec")
    assert not re.search(r"^\s*(import|from) samplerfuzz", source, re.M)


def _interpreters(entry):
    found = [item.python for item in installed(LIBRARIES[entry["library"]]) if item.version == entry["version"]]
    module = {"llama.cpp": "llama_cpp", "mlx-lm": "mlx_lm"}.get(entry["library"], entry["library"].replace("-", "_"))
    return found or ([sys.executable] if importlib.util.find_spec(module) else [])


@pytest.mark.heavy
@pytest.mark.parametrize("name", FILES)
def test_a_reproducer_shows_the_defect(name):
    pythons = _interpreters(FILES[name])
    if not pythons:
        pytest.skip(f"{FILES[name]['library']} {FILES[name]['version']} is not installed here")
    done = subprocess.run([pythons[0], make_trophies.REPORTS / "trophies" / name], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the defect REPRODUCES" in done.stdout
