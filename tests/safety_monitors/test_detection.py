"""The loop of `bench monitor --power`: faults are told by the monitor that looks at them, and the correct samplers are not accused."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from samplerfuzz.bench import detection, detection_report
from samplerfuzz.bench.detection import CORRECT, FAULTS, Watch, own_draws
from samplerfuzz.cli.generate import command as generate
from samplerfuzz.core.registry import load
from samplerfuzz.core.seeding import stream
from samplerfuzz.llama.truth import embedded_truth

pytestmark = pytest.mark.xdist_group("detection")
BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.fixture(scope="module")
def registry():
    return np.flatnonzero(embedded_truth().never)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    monkeypatch.setattr(detection, "ROWS", 32)
    detection.rows.cache_clear()
    yield
    detection.rows.cache_clear()


def test_every_fault_of_the_zoo_is_there_and_named_once():
    assert len(BY_NAME) == len(FAULTS)
    assert all(callable(load(fault.target)) for fault in FAULTS if fault.target)


@pytest.mark.parametrize(
    ("name", "monitor", "most"),
    [
        ("the temperature is +25 % off", "surprisal", 4096),
        ("noise is added to probabilities", "surprisal", 256),
        ("zero temperature still draws", "kept set", 2048),
        ("removed logits become nearly zero", "kept set", 1024),
        ("kept logits are set to one", "surprisal", 256),
    ],
)
def test_a_fault_is_told_by_the_monitor_that_looks_at_it(name, monitor, most, registry):
    watch = Watch(BY_NAME[name], registry)
    assert watch.run(watch.draws(stream(1, name)), most)[monitor] is not None


def test_a_correct_sampler_is_not_accused(registry):
    item = CORRECT[3]
    told = Watch(item, registry).run(own_draws(item, 1), 2**15, stop=False)
    assert told == {"surprisal": None, "kept set": None, "anomalous tokens": None}


def test_the_draws_of_a_distribution_are_those_of_it():
    law = np.array([[0.0, 0.5, 0.0, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0]])
    chosen, tokens = next(detection._from(law, stream(1, "law")))
    assert set(tokens[chosen == 1]) == {0}
    assert set(tokens[chosen == 0]) == {1, 3}


FOUND = {
    "alpha": 1e-4, "rows": 2, "vocabulary": 5, "most": 100, "repeats": 3, "seed": 1,
    "faults": [{"fault": "a fault", "declared": {"top_k": 3}, "tokens": {"surprisal": 1234, "kept set": None, "anomalous tokens": 7}}],
    "correct": [{"sampler": "one", "tokens": 1000, "alarms": {"surprisal": 0, "kept set": 0, "anomalous tokens": 0}}],
}  # fmt: skip


def test_the_report_says_what_was_found(tmp_path):
    text = detection_report.markdown(FOUND, "chart.svg")
    assert "| a fault | top_k 3 | 1,234 | – | 7 |" in text
    assert "1,000 tokens drawn by the samplers of this package: 0 false alarms." in text
    assert detection_report.draw(FOUND, tmp_path / "chart.svg")
    assert ElementTree.parse(tmp_path / "chart.svg").getroot().tag.endswith("svg")


def test_generate_writes_the_statistics_of_every_step(tmp_path):
    path = tmp_path / "steps.json"
    asked = [
        "tiny",
        "Once there",
        "--temperature",
        "0.8",
        "--top-p",
        "0.9",
        "--seed",
        "3",
        "--max-new-tokens",
        "4",
        "--statistics",
        str(path),
    ]
    done = CliRunner().invoke(generate, [*asked, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    line, document = json.loads(done.stdout), json.loads(path.read_text(encoding="utf-8"))
    steps = document["steps"][0]
    assert [step["token"] for step in steps] == line["ids"]
    assert [step["entropy"] for step in steps] == pytest.approx([step["entropy"] for step in line["steps"]], abs=1e-5)
    assert [step["kept"] for step in steps] == [step["kept"] for step in line["steps"]]
    assert document["monitor"]["steps"] == len(steps)
    assert document["monitor"]["alarms"] == []
