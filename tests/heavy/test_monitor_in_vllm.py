"""The hook inside vLLM's own batch and sampler, in vLLM's interpreter, where `samplerfuzz targets install vllm` made one."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from samplerfuzz.targets.libraries.catalog import find_library
from samplerfuzz.targets.libraries.environments import installed

pytestmark = pytest.mark.heavy
ROOT = Path(__file__).parents[2]


def ran(*arguments):
    found = installed(find_library("vllm"))
    if not found:
        pytest.skip("no interpreter with vllm: `samplerfuzz targets install vllm` makes it")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run([found[-1].python, *arguments], env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize(("fault", "alarms"), [("none", []), ("uniform", ["surprisal", "kept set"])])
def test_requests_are_watched_as_they_come_move_and_end(fault, alarms):
    if ran("-c", "import scipy, ml_dtypes").returncode:
        pytest.skip("the interpreter of vllm lacks scipy or ml_dtypes, which the monitors need: pip install both into it")
    done = ran(str(Path(__file__).with_name("vllm_loop.py")), fault)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["steps"] == told["emitted"] > 500
    assert (told["alarms"], told["unwatched"], told["lost"]) == (alarms, 1, 0)
    assert told["written"] > 400
