"""The page of a batch: every configuration with its numbers, beside whatever else there is of the model, and no text does any harm."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from samplerfuzz.cli.main import group
from samplerfuzz.llama.fingerprint import model_sha256
from samplerfuzz.llama.models import find
from samplerfuzz.probe.atlas import Atlas, row_of
from samplerfuzz.probe.batch.plan import Plan
from samplerfuzz.probe.batch.shards import write_shard, write_whole
from samplerfuzz.report.probe.data import atlas_json
from samplerfuzz.report.probe.page import write_section

HOSTILE = "<script>alert(1)</script>"
CONFIGURATIONS = [{"temperature": -0.001}, {"temperature": 0.8, "top_p": 0.9}, {}, {"temperature": float("inf")}]


def batch(folder, configurations=CONFIGURATIONS, sha256=None):
    """Write the shard of a batch of two prompts and two seeds that no model has computed."""
    plan = Plan(
        prompts=[HOSTILE, "b"], ids=[[1], [2]], configurations=configurations, seeds=[3, 4], new_tokens=2, block=10**6, has_steps=False,
        computed_by={"model_sha256": sha256 or model_sha256(find("tiny").path)},
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    write_whole(folder / "plan.json", [json.dumps(plan.to_json())])
    lines = []
    for row in range(plan.rows):
        prompt, configuration, seed = (int(place) for place in plan.places(np.array(row)))
        nothing = configuration == 2  # a mean of no token is none
        means = {f"mean_{name}": None if nothing else 1.5 for name in ("surprisal", "kept", "model_surprisal", "model_entropy")}
        lines.append(json.dumps({
            "row": row, "prompt": prompt, "configuration": configuration, "seed": plan.seeds[seed], "ids": [] if nothing else [5, 5 + seed],
            "text": f"{HOSTILE}\x1b[31m{configuration}", "stopped_by": "nothing" if nothing else "length", "loop": {"start": 0, "period": 1}, **means,
        }))  # fmt: skip
    write_shard(folder, 0, plan.sha256, [0], lines)
    return folder


def merged(folder):
    done = CliRunner().invoke(group, ["probe", "batch", "--merge-only", "--report-dir", str(folder)], standalone_mode=False)
    assert done.exception is None, done.output
    assert f"report: {folder / 'report.html'}" in done.output.replace("\n", "")
    return (folder / "report.html").read_text("utf-8")


def cells(page, first):
    """Return the texts of the first row of a table that begins with a cell."""
    row = re.search(rf"<tr><td>{re.escape(first)}</td>(.*?)</tr>", page, re.DOTALL)[1]
    return [re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL)]


def atlas(model):
    found = Atlas(rows=[row_of([0], np.array([2.0, 0.5, -1.0], np.float32))], texts={})
    return atlas_json(found, model=model, prompts=["a"], show=str, text=str)


def test_a_batch_alone_has_a_page_of_every_configuration(tmp_path):
    page = merged(batch(tmp_path))
    assert "tiny at its limits" in page
    assert "16 texts of 4 configurations" in page
    assert cells(page, "T -0.001") == ["4", "1", "100%", "0%", "8", "2", "1.5", "1.5", "1.5", "1.5"]
    assert cells(page, "T 0.8, top_p 0.9")[:2] == ["4", "1"]
    assert cells(page, "as the model is") == ["4", "1", "100%", "0% 4 with nothing to draw", "0", "0", "", "", "", ""]
    assert page.count("<svg") == 2


def test_every_text_of_a_batch_is_escaped(tmp_path):
    page = merged(batch(tmp_path))
    assert HOSTILE not in page
    assert "\x1b" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m") == 4
    assert "<q>&lt;script&gt;alert(1)&lt;/script&gt;</q>" in page


def test_a_batch_and_a_probe_in_one_directory_are_on_one_page_whichever_comes_last(tmp_path):
    write_section(tmp_path, atlas("tiny"))
    page = merged(batch(tmp_path))
    assert "every law of temperature holds" in page
    assert "16 texts of 4 configurations" in page
    assert write_section(tmp_path, atlas("tiny")).read_text("utf-8") == page


def test_a_batch_is_not_on_the_page_of_another_model(tmp_path):
    write_section(tmp_path, atlas("another"))
    page = merged(batch(tmp_path))
    assert "16 texts of 4 configurations" in page
    assert "every law of temperature" not in page


def test_shards_of_another_model_than_the_one_named_are_told_by_its_checksum(tmp_path):
    assert "model 0123456789ab at its limits" in merged(batch(tmp_path, sha256="0123456789abcdef"))


def test_configurations_that_the_page_has_no_room_for_are_told(tmp_path):
    page = merged(batch(tmp_path, [{"top_k": float(k)} for k in range(1, 301)]))
    assert "1,200 texts of 300 configurations" in page
    assert "here are the first 200" in page
    assert "<td>top_k 200</td>" in page
    assert "<td>top_k 201</td>" not in page


def test_a_batch_is_on_the_page_that_brings_all_together(tmp_path):
    merged(batch(tmp_path / "batch"))
    write_section(tmp_path / "probe", atlas("another"))
    out = tmp_path / "all.html"
    done = CliRunner().invoke(
        group, ["report", str(tmp_path / "probe"), str(tmp_path / "batch"), "--page", str(out)], standalone_mode=False
    )
    assert done.exception is None, done.output
    page = out.read_text("utf-8")
    assert "2 probes" in page
    assert 'href="batch/report.html"' in page
    assert cells(page, "T -0.001")[:3] == ["4", "1", "100%"]
    assert HOSTILE not in page


@pytest.mark.parametrize("lost", ["configurations", "prompts"])
def test_a_batch_of_another_version_is_told_on_the_page_of_all(tmp_path, lost):
    merged(batch(tmp_path))
    data = json.loads((tmp_path / "batch.json").read_text("utf-8"))
    del data[lost]
    (tmp_path / "batch.json").write_text(json.dumps(data), "utf-8")
    done = CliRunner().invoke(group, ["report", str(tmp_path), "--page", str(tmp_path / "all.html")], standalone_mode=False)
    assert f"{tmp_path}: one of them was written by another version" in str(done.exception)
