"""The guard is timed beside the bare server, on streams that came whole."""

import json

import pytest

from samplerfuzz.bench.guarding import measured
from samplerfuzz.cli.main import main
from samplerfuzz.core.errors import SamplerFuzzError


def test_both_sides_of_every_line_are_whole_streams(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "guard", "--streams", "1", "--streams", "3", "--seconds", "0.4", "--json", "--out", str(tmp_path / "guard")])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "guard.json").read_text("utf-8")) == found
    assert [line["streams"] for line in found["lines"]] == [1, 3]
    for line in found["lines"]:
        for side in (line["bare"], line["guarded"]):
            assert side["requests"] >= line["streams"]
            assert 0 < side["p50"] <= side["p99"]
        assert line["added_p50"] == pytest.approx(line["guarded"]["p50"] - line["bare"]["p50"], abs=2e-3)
    assert len(found["guard_memory_mib"]) == 3


def test_a_stream_that_is_refused_is_no_measurement(tmp_path):
    (tmp_path / "policy.toml").write_text("[parameters.temperature]\nmin = 0.0\nmax = 0.1\ndefault = 0.1\n", encoding="utf-8")
    with pytest.raises(SamplerFuzzError, match="expected a stream of 16 events"):
        measured([1], seconds=0.1, policy=tmp_path / "policy.toml", tell=lambda words: None)


def test_a_directory_that_is_not_there_is_a_usage_error(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", "guard", "--out", str(tmp_path / "none" / "guard")])
    assert ended.value.code == 2
    assert "there is no directory" in capsys.readouterr().err
