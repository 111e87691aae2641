"""The whole probe: three experiments in one folder, on one page, in which no token does any harm."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from samplerfuzz.cli.main import group
from samplerfuzz.core.errors import UsageError
from samplerfuzz.report.probe.page import probe_page, read_sections, write_section

# one worker makes the folder for all, and compiles once what the census needs too
pytestmark = pytest.mark.xdist_group("probe")
KEPT = Path(__file__).resolve().parents[2] / "reports" / "probed"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("probe")
    arguments = ["probe", "tiny", "--quick", "--report-dir", str(made), "--prompt", "Once there was", "--json"]
    done = CliRunner().invoke(group, arguments, standalone_mode=False)
    assert done.exception is None, done.output
    assert done.return_value == 0
    assert set(json.loads(done.stdout)) == {"atlas", "census", "replication"}
    return made


def test_the_folder_holds_every_section_and_a_page_of_all(folder):
    assert set(read_sections(folder)) == {"atlas", "census", "replication"}
    page = (folder / "report.html").read_text("utf-8")
    for words in ("every law of temperature holds", "which tokens the model cannot say", "negative temperature, replicated", "<svg"):
        assert words in page
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)[^"' >]+""", page.replace("xlink:href", "href")) == []
    assert "@import" not in page
    assert json.loads((folder / "registry.json").read_text("utf-8"))["model"] == "tiny"


def test_every_text_on_the_page_is_escaped(folder):
    def spoil(value):
        if isinstance(value, dict):
            return {key: HOSTILE if key in ("text", "prompt") and isinstance(item, str) else spoil(item) for key, item in value.items()}
        return [spoil(item) for item in value] if isinstance(value, list) else value

    spoilt = {name: spoil(section) for name, section in read_sections(folder).items()}
    page = probe_page(spoilt)
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 20


def test_a_section_alone_makes_a_page(folder):
    for name, section in read_sections(folder).items():
        assert "tiny at its limits" in probe_page({name: section})


@pytest.mark.parametrize("name", ["tiny", "smollm2-135m"])
def test_the_reports_that_are_kept_were_written_by_this_version(name):
    sections = read_sections(KEPT / name)
    assert set(sections) == {"atlas", "census", "replication"}
    assert "What every technique keeps" in probe_page(sections)


def test_a_file_that_is_no_section_is_named(tmp_path):
    (tmp_path / "census.json").write_text("{", "utf-8")
    with pytest.raises(UsageError, match=r"census\.json: expected what `samplerfuzz probe` writes"):
        read_sections(tmp_path)
    (tmp_path / "census.json").write_text("[]", "utf-8")
    with pytest.raises(UsageError, match="the section 'census'"):
        read_sections(tmp_path)


def test_a_section_of_another_version_is_told(folder):
    section = read_sections(folder)["census"]
    del section["controls_verified"]
    with pytest.raises(UsageError, match="written by another version"):
        probe_page({"census": section})


def test_a_section_of_another_version_does_not_keep_a_new_one_from_its_page(folder, tmp_path):
    sections = read_sections(folder)
    (tmp_path / "census.json").write_text(json.dumps({"section": "census", "model": "tiny"}), "utf-8")
    page = write_section(tmp_path, sections["atlas"]).read_text("utf-8")
    assert "every law of temperature holds" in page
    assert "which tokens the model cannot say" not in page


@pytest.mark.parametrize("words", [["probe", "no-such-model"], ["probe", "whole", "no-such-model"]])
def test_a_word_that_is_no_experiment_is_a_model(words):
    done = CliRunner().invoke(group, words, standalone_mode=False)
    assert "no-such-model" in str(done.exception)
