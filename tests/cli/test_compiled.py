"""What is compiled is kept for the next run, where there is room, and a cache that fails breaks nothing."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from samplerfuzz.cli import compiled
from samplerfuzz.cli.compiled import DIRECTORY, OFF, SHORTEST, keep_compiled
from samplerfuzz.core.cache_directory import VARIABLE


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path, recwarn):
    for name in (OFF, DIRECTORY, SHORTEST):
        monkeypatch.setenv(name, "")  # so that what is set is taken back
        monkeypatch.delenv(name)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


def test_the_cache_lies_beside_the_models(tmp_path):
    keep_compiled()
    assert os.environ[DIRECTORY] == str(tmp_path / "cache" / "compiled")
    assert (tmp_path / "cache" / "compiled").stat().st_mode & 0o777 == 0o700


def test_it_is_switched_off_by_a_variable(monkeypatch, tmp_path):
    monkeypatch.setenv(OFF, "1")
    keep_compiled()
    assert DIRECTORY not in os.environ
    assert not (tmp_path / "cache").exists()


def test_where_jax_was_told_to_keep_it_is_where_it_stays(monkeypatch, tmp_path):
    monkeypatch.setenv(DIRECTORY, "elsewhere")
    keep_compiled()
    assert os.environ[DIRECTORY] == "elsewhere"
    assert not (tmp_path / "cache").exists()


def test_a_place_that_cannot_be_written_means_no_cache(tmp_path):
    (tmp_path / "cache").write_text("a file")
    keep_compiled()
    assert DIRECTORY not in os.environ


def test_a_disk_with_hardly_any_room_means_no_cache(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(free=1000))
    keep_compiled()
    assert DIRECTORY not in os.environ


def test_the_oldest_go_when_it_grows_too_large(monkeypatch, tmp_path):
    directory = tmp_path / "cache" / "compiled"
    directory.mkdir(parents=True)
    for age, name in enumerate("cba"):
        (directory / name).write_bytes(b"x" * 40)
        os.utime(directory / name, (1000 + age, 1000 + age))
    monkeypatch.setattr(compiled, "_LARGEST", 90)
    keep_compiled()
    assert sorted(path.name for path in directory.iterdir()) == ["a", "b"]


@pytest.mark.slow
def test_a_second_run_reads_what_the_first_compiled_and_survives_a_torn_entry(tmp_path):
    def run():
        command = [sys.executable, "-m", "samplerfuzz", "generate", "tiny", "Once", "--seed", "1", "--max-new-tokens", "3"]
        source = os.path.dirname(os.path.dirname(compiled.__file__))
        environment = {**os.environ, "PYTHONPATH": os.path.dirname(source)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)

    first = run()
    entries = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "compiled").glob("*-cache")}
    assert {path.name.split("-")[0] for path in entries} >= {"jit_run_start", "jit_run_advance"}
    torn = next(path for path in entries if path.name.startswith("jit_run_start"))
    torn.write_bytes(torn.read_bytes()[:1000])
    second = run()
    assert second.stdout == first.stdout
    assert "Error" not in second.stderr
    now = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "compiled").glob("*-cache")}
    assert now.keys() == entries.keys()
    assert all(now[path] == stamp for path, stamp in entries.items() if path != torn)
