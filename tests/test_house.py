"""The rules of the house: lint, types, arrows between rooms, what may be imported when, what a file may say."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from samplerfuzz.cli.main import VERBS, group
from samplerfuzz.targets.isolated import load_target

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
HEAVY = ("jax", "jaxlib", "flax", "torch", "transformers", "scipy", "samplerfuzz.llama", "samplerfuzz.samplers", "samplerfuzz.checks")

LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
GATES = {
    "ruff check": ["-m", "ruff", "check", "--no-cache", "."],
    "ruff format": ["-m", "ruff", "format", "--no-cache", "--check", "."],
    "mypy": ["-m", "mypy", "src"],
    "lint-imports": ["-c", LINT_IMPORTS],
}


def run(*arguments):
    """Run this interpreter in the repository's root, on the tree's own sources."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)


@pytest.mark.xdist_group("house")
@pytest.mark.parametrize("gate", GATES)
def test_gate_is_green(gate):
    done = run(*GATES[gate])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.parametrize(
    "statement",
    [
        "import samplerfuzz",
        "import samplerfuzz; dir(samplerfuzz)",
        "import samplerfuzz.pytest_plugin",
        "main(['--help'])",
        "main(['--version'])",
        "main(['ls', 'techniques'])",
    ],
)
def test_the_first_second_loads_nothing_heavy(statement):
    setup = "import contextlib, sys\nfrom samplerfuzz.cli.main import main\n" if "main" in statement else "import contextlib, sys\n"
    report = f"\nloaded = [m for m in {HEAVY!r} if m in sys.modules]\nsys.exit(f'loaded: {{loaded}}' if loaded else 0)"
    done = run("-c", f"{setup}with contextlib.suppress(SystemExit):\n    {statement}{report}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_says_one_thing(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 400, f"{path.name} has {lines} lines: it says more than one thing"


def _documents():
    rooms = ("src", "models", "tests", "fuzz", ".ci")
    files = [path for room in rooms for path in (ROOT / room).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return [*files, *(p for p in ROOT.iterdir() if p.is_file() and p.name != ".git"), *(ROOT / "reports").glob("*.md")]


def test_no_file_names_a_machine():
    # the words are put together here, so that this file does not hold them
    words = [
        "/".join(("", "work", "")),
        "/".join(("..", "shared")),
        "/".join(("", "root", "")),
        "/".join(("", "opt", "")),
        "pypi" + ".org",
        "python" + "hosted",
    ]
    pattern = re.compile("|".join(map(re.escape, words)).encode())
    guilty = {path.relative_to(ROOT).as_posix(): found.group() for path in _documents() if (found := pattern.search(path.read_bytes()))}
    assert not guilty


def test_every_verb_imports_and_explains_itself():
    context = click.Context(group)
    for verb in VERBS:
        command = group.get_command(context, verb)
        assert isinstance(command, click.Command), verb
        assert command.help, f"{verb} has no docstring"


def _readme_commands():
    blocks = re.findall(r"```(?:console|bash|sh)\n(.*?)```", README, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [
        words[i + 1 :]
        for line in lines
        for words in [shlex.split(line, comments=True)]
        for i, w in enumerate(words)
        if w.endswith("samplerfuzz")
    ]


def test_the_readme_shows_commands():
    assert {words[0] for words in _readme_commands()} >= {"fuzz", "generate", "models", "explain"}


@pytest.mark.parametrize("words", _readme_commands(), ids=" ".join)
def test_every_command_of_the_readme_exists(words):
    command = group
    while isinstance(command, click.Group):
        assert words
        if words[0] not in command.list_commands(click.Context(command)) and hasattr(command, "default"):
            words = [command.default, *words]
        assert words[0] in command.list_commands(click.Context(command))
        command, words = command.get_command(click.Context(command), words[0]), words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def test_continuous_integration_runs_the_commands_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    command = "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/pytest -n auto"
    assert command in README
    assert command in script
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/samplerfuzz fuzz" in README


def test_the_samplers_of_the_readme_are_targets(tmp_path):
    sampler, stream = (block for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL) if "@sf.target" in block)
    (tmp_path / "my_sampler.py").write_text(sampler, encoding="utf-8")
    (tmp_path / "my_stream.py").write_text(stream, encoding="utf-8")
    spec = load_target(f"{tmp_path / 'my_sampler.py'}:sample").spec
    assert (spec.order, spec.returns, spec.stateful) == (("temperature", "top_p"), "probs", False)
    spec = load_target(f"{tmp_path / 'my_stream.py'}:Mirostat").spec
    assert (spec.order, spec.returns, spec.stateful, spec.resets, spec.clones) == (("temperature", "mirostat"), "probs", True, True, True)
