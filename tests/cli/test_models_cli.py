"""`samplerfuzz models`: what it lists, describes and says it did."""

import pytest

from samplerfuzz.cli import main as cli
from samplerfuzz.core.cache_directory import VARIABLE
from samplerfuzz.llama import models


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(["models", *arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return call


def test_ls_names_every_model_and_where_it_is(run):
    status, out, _ = run("ls")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(models.known())
    assert "embedded" in out
    assert "not fetched" in out


@pytest.mark.parametrize("name", models.known())
def test_info_tells_source_checksum_and_licence(run, name):
    status, out, _ = run("info", name)
    model = models.known()[name]
    assert status == 0
    assert all(word in out for word in (model.sha256, model.license, model.source, model.description))
    assert ("run `samplerfuzz models get" in out) == (model.wheel is not None)


def test_info_of_a_path_tells_the_shape(run):
    path = str(models.find("tiny").path)
    status, out, _ = run("info", path)
    assert status == 0
    assert out.splitlines()[0].split(maxsplit=1) == ["path", path]
    assert "2,048, tied output head" in out


def test_get_of_the_embedded_model_has_nothing_to_do(run):
    status, out, _ = run("get", "tiny")
    assert status == 0
    assert out.startswith("tiny is embedded: ")


@pytest.mark.parametrize("verb", ["get", "info"])
def test_an_unknown_model_is_a_usage_error(run, verb):
    status, out, err = run(verb, "tinny")
    assert (status, out) == (2, "")
    assert "did you mean 'tiny'?" in err
