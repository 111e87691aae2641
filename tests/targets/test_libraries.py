"""A released library is a target: its adapter is called in the library's interpreter, where samplerfuzz need not be installed."""

import ast
import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samplerfuzz.cases import Case, Generator
from samplerfuzz.checks.registry import load_all
from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.confirm import seen_again
from samplerfuzz.engine.counted import Counted
from samplerfuzz.report.inlined import inlined
from samplerfuzz.targets.libraries import environments
from samplerfuzz.targets.libraries.adapter import adapter_file, functions_of
from samplerfuzz.targets.libraries.catalog import LIBRARIES, find_library
from samplerfuzz.targets.libraries.opening import Named, host_of, named
from samplerfuzz.targets.opening import close, expanded, open_target

HERE = sys.executable


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_has_an_adapter_that_declares_what_it_tests(library):
    file = adapter_file(library)
    functions = functions_of(file)
    assert functions
    assert all(functions.values()), "a function says what of the library it calls"
    defined = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert "version" in defined
    assert any("{version}" in argument for step in LIBRARIES[library].steps for argument in step)


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_a_reproducer_inlines_is_a_program(library):
    file = adapter_file(library)
    for name in functions_of(file):
        source = inlined(file, name)
        compile(source, name, "exec")
        assert "samplerfuzz" not in source
        assert "sf.target" not in source


def test_a_library_is_all_functions_of_its_adapter():
    found, lacks = expanded(["numpy", "numpy:choice", "builtin:top_k"], python=HERE)
    assert found == (*(f"numpy:{name}" for name in functions_of(adapter_file("numpy"))), "builtin:top_k")
    assert lacks == {}
    host_of(named("numpy"), python=HERE).close()


def test_functions_of_a_library_share_a_process_that_is_started_again():
    first, second = (open_target(f"numpy:{name}", python=HERE) for name in ("choice", "multinomial"))
    case = Generator(parameters=(), inputs=frozenset({"seed"}), per_row=False).case(
        np.random.default_rng(0), rows=3, size=5, strategy="ordinary", regime="normal"
    )
    before = first.run(case).value
    close(second)
    assert np.array_equal(first.run(case).value, before)
    assert first.spec.version == f"numpy {np.__version__}"
    close(first)


def test_the_worker_needs_no_installed_samplerfuzz(tmp_path, monkeypatch):
    subprocess.run([HERE, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    site = next((tmp_path / "bare" / "lib").glob("python*/site-packages"))
    for package in Path(np.__file__).parents[1].glob("numpy*"):
        (site / package.name).symlink_to(package)
    bare = tmp_path / "bare" / "bin" / "python"
    monkeypatch.delenv("PYTHONPATH", raising=False)
    absent = subprocess.run([bare, "-c", "import samplerfuzz"], capture_output=True, text=True)
    assert "No module named 'samplerfuzz'" in absent.stderr
    target = open_target("numpy:choice", python=str(bare))
    outcome = target.run(Case(logits=np.array([[0.0, 50.0]], np.float32), seeds=np.array([1])))
    assert outcome.value.tolist() == [1]
    close(target)


@pytest.mark.parametrize(
    ("locator", "words"),
    [
        ("numpyy", "known libraries: numpy"),
        ("numpy==", "expected a version after ==, for example numpy=="),
        ("numpy:", "expected a function after the colon"),
        ("nampy==1.0", "did you mean 'numpy'"),
    ],
)
def test_a_name_that_is_no_library_is_refused_with_the_known_ones(locator, words):
    with pytest.raises(UsageError) as refused:
        named(locator)
    assert words in str(refused.value)


def test_an_unknown_function_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="no function 'choise'; known: choice, legacy_choice, multinomial, "):
        open_target("numpy:choise", python=HERE)


@pytest.mark.parametrize("locator", ["mine.py:top_k", "a/b.py:f", "package.module:f", "builtin:top_k", "transformers.generation:f"])
def test_files_modules_and_builtins_are_no_libraries(locator):
    assert named(locator) is None


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMPLERFUZZ_CACHE", str(tmp_path))
    return tmp_path


def test_a_library_that_is_not_installed_says_how(cache):
    with pytest.raises(UsageError, match=re.escape("samplerfuzz targets install numpy==9.9.9")):
        host_of(Named(library=find_library("numpy"), version="9.9.9", function=None))


def test_an_install_goes_on_where_it_was_broken_off(cache, monkeypatch):
    steps = (("first=={version}",), ("second",))
    library = environments.Library(name="numpy", version="1.0", steps=steps, size=1)
    ran, failing = [], ["second"]

    def run(command, what):
        ran.append(command[-1])
        if command[-1] in failing:
            raise UsageError(f"{what} failed")
        if "venv" in command:
            (Path(command[-1]) / "bin").mkdir(parents=True)
            (Path(command[-1]) / "bin" / "python").touch()

    monkeypatch.setattr(environments, "_run", run)
    with pytest.raises(UsageError, match="pip install second failed"):
        environments.install(library, None, lambda line: None)
    assert environments.installed(library) == []
    assert ran[1:] == ["first==1.0", "second"]
    failing.clear()
    ran.clear()
    made = environments.install(library, None, lambda line: None)
    assert ran == ["second"]
    assert made.is_complete
    assert environments.interpreter(library, None) == made.python
    ran.clear()
    environments.install(library, None, lambda line: None)
    assert ran == []
    assert [item.version for item in environments.remove(library, "1.0")] == ["1.0"]
    assert environments.installed(library) == []
    with pytest.raises(UsageError, match="no environment of numpy"):
        environments.remove(library, None)


def test_what_pip_said_last_is_told(cache):
    library = environments.Library(name="numpy", version="1.0", steps=(("./no/such/directory",),), size=1)
    with pytest.raises(UsageError) as refused:
        environments.install(library, None, lambda line: None)
    assert "run the same command again to go on from here" in str(refused.value)
    assert "no/such/directory" in str(refused.value)


def test_a_finding_in_a_library_is_confirmed_in_a_new_process():
    target = open_target("numpy:choice", python=HERE)
    check = next(iter(load_all().values()))
    seen = []

    def probe(self, target, case):
        seen.append(target.run(Case(logits=np.zeros((1, 2), np.float32), seeds=np.array([1]))).kind)
        return iter(())

    host = host_of(named("numpy"), python=HERE)
    before = host._worker
    assert seen_again(replace(check, judge=None, probe=probe), Counted(target, 0), Case(logits=np.zeros((1, 2), np.float32))) == []
    assert seen[0] == "value"
    assert host._worker is not before
    close(target)


@pytest.mark.parametrize(("row", "temperature"), [([-np.inf, 0.0], np.inf), ([-np.inf, 1e30], 1e-20), ([-np.inf, -1e30], 1e-20)])
def test_what_torch_has_no_part_in_is_not_said_of_torch(row, temperature):
    # the adapter divides by the temperature: -inf / inf is NaN, and 1e30 / 1e-20 is inf, before torch sees anything
    pythons = [item.python for item in environments.installed(find_library("torch"))]
    if not pythons and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed here")
    target = open_target("torch:gumbel_softmax", python=(*pythons, HERE)[0])
    case = Case(logits=np.array([row], np.float32), parameters={"temperature": np.array([temperature])}, seeds=np.array([0]))
    assert target.run(case).kind == "raised"
    mild = case.with_(parameters={"temperature": np.array([1.0])})
    assert target.run(mild).value.tolist() == [1]
    close(target)
