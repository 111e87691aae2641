"""`samplerfuzz bench samplers` on the command line."""

import json

import pytest

from samplerfuzz.cli import main as cli

TINY = ("bench", "samplers", "--rows", "2", "--vocabulary", "64", "--seconds", "0", "--workload", "top-nσ 1", "--peer", "jax")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return ended.value.code or 0, *capsys.readouterr()


def test_json_alone_is_on_standard_output(capsys):
    code, out, _ = run(capsys, *TINY, "--json")
    assert code == 0
    (line,) = json.loads(out)["lines"]
    assert (line["workload"], line["rows"], line["vocabulary"]) == ("top-nσ 1", 2, 64)
    assert line["ratios"].keys() == {"jax"}


def test_the_table_shows_both_and_files_are_written(capsys, tmp_path):
    code, out, _ = run(capsys, *TINY, "--out", str(tmp_path / "speed"))
    assert code == 0
    assert "samplerfuzz" in out
    assert "(×" in out
    assert json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))["format"] == 1
    assert (tmp_path / "speed.md").read_text(encoding="utf-8").startswith("# Speed of the samplers\n")


def test_help_has_examples(capsys):
    code, out, _ = run(capsys, "bench", "samplers", "--help")
    assert code == 0
    assert "samplerfuzz bench samplers --quick" in out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("--workload", "top"), "known: T + top-k"), (("--peer", "gpt"), "known: samplerfuzz, jax"), (("--out", "no/x"), "make it")],
)
def test_a_wrong_name_is_a_usage_error(capsys, arguments, word):
    code, _, err = run(capsys, "bench", "samplers", "--quick", *arguments)
    assert code == 2
    assert word in err


def test_fuzzing_is_counted_beside_one_example_at_a_time(capsys):
    code, out, _ = run(capsys, "bench", "fuzz", "--seconds", "1", "--workers", "1", "--json")
    assert code == 0
    found = json.loads(out)
    assert [rate["workers"] for rate in found["rates"]] == [1, 1, 1]
    assert all(rate["pairs"] > 0 and rate["settled"] >= 0 for rate in found["rates"])
    assert found["machine"]["cores"] >= 1


def test_the_power_grows_with_the_bias(capsys, tmp_path):
    code, out, _ = run(capsys, "bench", "power", "--repeats", "3", "--json", "--out", str(tmp_path / "power"))
    assert code == 0
    for draws in json.loads(out)["draws"].values():
        told = [n for n in draws if n is not None]
        assert len(told) >= 6
        assert told[0] < told[3] < told[5]
    document = (tmp_path / "power.md").read_text(encoding="utf-8")
    assert "| 0.5% |" in document


def test_what_the_statistics_cost_is_measured_side_by_side(capsys, tmp_path):
    out_path = tmp_path / "cost"
    code, out, error = run(capsys, "bench", "monitor", "--model", "tiny", "--seconds", "0.1", "--json", "--out", str(out_path))
    assert code == 0, error
    found = json.loads(out)
    assert found == json.loads(out_path.with_name("cost.json").read_text(encoding="utf-8"))
    assert [(line["chain"], line["rows"]) for line in found["lines"]] == [("T", 1), ("T + top-k 50 + top-p 0.9", 1)]
    for line in found["lines"]:
        low, high = line["quartiles"]
        assert 0 < low <= line["ratio"] <= high
        assert line["pairs"] >= 5


def test_the_power_of_the_monitors_is_written_as_a_table_and_a_picture(capsys, tmp_path, monkeypatch):
    from samplerfuzz.bench import detection

    monkeypatch.setattr(detection, "FAULTS", tuple(fault for fault in detection.FAULTS if "+100 %" in fault.name))
    monkeypatch.setattr(detection, "CORRECT", detection.CORRECT[-1:])
    asked = ("bench", "monitor", "--power", "--repeats", "1", "--most", "256", "--correct", "8192", "--out", str(tmp_path / "power"))
    code, out, _ = run(capsys, *asked)
    assert code == 0
    assert "median tokens to the alarm" in out
    found = json.loads((tmp_path / "power.json").read_text(encoding="utf-8"))
    assert found["faults"][0]["tokens"]["surprisal"] < 256
    assert found["correct"][0]["alarms"] == {"surprisal": 0, "kept set": 0, "anomalous tokens": 0}
    assert "8,192 tokens" in (tmp_path / "power.md").read_text(encoding="utf-8")
    assert (tmp_path / "power.svg").exists()
