"""The same rows come out of one device and eight, of one process and two, and of a run that was killed while it wrote."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import samplerfuzz

SOURCE = str(Path(samplerfuzz.__file__).parents[1])
BATCH = ("probe", "batch", "tiny", "--temperature", "-0.001", "--temperature", "0.9", "--seeds", "11", "--batch-size", "4", "--steps")
KILLING = """\
import os, signal, sys
from samplerfuzz.cli.main import main
from samplerfuzz.probe.batch import shards
calls, fsync = [], os.fsync
def until_the_third_shard(file):
    calls.append(file)
    os.kill(os.getpid(), signal.SIGKILL) if len(calls) == 7 else fsync(file)
shards.os.fsync = until_the_third_shard
main(sys.argv[1:])
"""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("probe_batch_processes")]


@pytest.fixture(scope="module")
def begin(tmp_path_factory):
    """Start a process of a batch into a directory."""
    place = tmp_path_factory.mktemp("processes")
    (place / "prompts.txt").write_text("Once there was a fox\nThe price is\n", encoding="utf-8")
    kept = {"JAX_COMPILATION_CACHE_DIR": str(place / "compiled"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}

    def start(folder, *options, program=("-m", "samplerfuzz"), devices=1):
        environment = {
            **os.environ, **kept, "PYTHONPATH": SOURCE, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        }  # fmt: skip
        command = [sys.executable, *program, *BATCH, "--max-new-tokens", "5", "--prompts", str(place / "prompts.txt")]
        command += ["--report-dir", str(folder), *options]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def alone(begin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    code, out, err = finish(begin(folder))
    assert code == 0, err
    assert "44 rows" in out
    assert "44 rows" in err
    return folder


def same(folder, other):
    return all((folder / name).read_bytes() == (other / name).read_bytes() for name in ("plan.json", "results.jsonl", "summary.json"))


def test_eight_devices_give_what_one_gives(begin, alone, tmp_path):
    code, _, err = finish(begin(tmp_path, devices=8))
    assert code == 0, err
    assert len(list(tmp_path.glob("shard-*"))) == 2
    assert same(tmp_path, alone)


def test_two_processes_give_what_one_gives_and_either_merges(begin, alone, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    both = [begin(tmp_path, "--coordinator", address, "--num-processes", "2", "--process-id", str(i)) for i in (1, 0)]
    (code, out, err), ended = finish(both[0]), finish(both[1])
    assert ended[0] == 0, ended[2]
    assert code == 0, err
    assert "rows" not in out  # the other one tells
    assert {path.name[:10] for path in tmp_path.glob("shard-*")} == {"shard-0000", "shard-0001"}
    assert same(tmp_path, alone)
    (tmp_path / "results.jsonl").unlink()
    assert finish(begin(tmp_path, "--merge-only"))[0] == 0
    assert same(tmp_path, alone)


def test_a_run_that_was_killed_while_it_wrote_goes_on_with_what_is_missing(begin, alone, tmp_path):
    killed, _, _ = finish(begin(tmp_path, program=("-c", KILLING)))
    assert killed == -signal.SIGKILL
    left = list(tmp_path.glob("shard-*"))
    assert len(left) == 2
    assert list(tmp_path.glob(".shard-*"))
    stamps = [path.stat().st_mtime_ns for path in left]
    code, _, err = finish(begin(tmp_path, devices=8))
    assert code == 0, err
    assert "36 rows in" in err
    assert [path.stat().st_mtime_ns for path in left] == stamps
    assert same(tmp_path, alone)
    assert not list(tmp_path.glob(".shard-*"))


def test_weights_cut_along_the_model_axis_give_the_same_but_for_the_last_bits(begin, alone, tmp_path):
    code, _, err = finish(begin(tmp_path, "--model-axis", "2", devices=4))
    assert code == 0, err
    whole, cut = ([json.loads(line) for line in (folder / "results.jsonl").read_text("ascii").splitlines()] for folder in (alone, tmp_path))
    same_ids = [(a, b) for a, b in zip(whole, cut, strict=True) if a["ids"] == b["ids"]]
    assert len(same_ids) >= 40  # of 44: a draw that lies at the border of two tokens may go either way
    for a, b in same_ids:
        assert a["steps"]["model_surprisal"] == pytest.approx(b["steps"]["model_surprisal"], abs=1e-3)
    code, _, err = finish(begin(tmp_path))
    assert code == 2
    assert "holds another batch: model_axis differ" in err
