"""Every case is on disk before it is run, whole, and told to be under way until it is over."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

import samplerfuzz
from samplerfuzz.cases import Case
from samplerfuzz.targets.target import Outcome, TargetSpec
from samplerfuzz.targets.written import WrittenTarget, call_under_way

SPEC = TargetSpec(name="f", locator="f.py:f", order=("top_k",), parameters=("top_k",), domain={"top_k": (1.0, 4.0)})


def case(rows):
    return Case(
        logits=np.arange(rows * 3, dtype=np.float32).reshape(rows, 3),
        parameters={"top_k": np.full(rows, 2.0)},
        history=tuple(np.arange(n) for n in range(rows)),
        regime="tied",
        strategy="edge",
    )


class Looking:
    """A target that looks at the file while it is called."""

    spec = SPEC

    def __init__(self, path):
        self.path, self.seen = path, []

    def run(self, case):
        self.seen.append(call_under_way(self.path))
        if case.rows == 1:
            raise KeyboardInterrupt
        return Outcome(kind="raised")


def test_the_case_is_on_disk_while_its_call_is_under_way(tmp_path):
    looking = Looking(tmp_path / "call.bin")
    written = WrittenTarget(looking, looking.path)
    # a short case after a long one: what is left of the long one is no part of it
    for given in (case(5), case(2)):
        written.run(given)
        assert call_under_way(looking.path) is None
        spec, seen = looking.seen[-1]
        assert spec == SPEC
        assert (seen.digest(), seen.regime, seen.strategy) == (given.digest(), "tied", "edge")


def test_a_call_that_is_broken_off_is_not_under_way(tmp_path):
    looking = Looking(tmp_path / "call.bin")
    written = WrittenTarget(looking, looking.path)
    try:
        written.run(case(1))
    except KeyboardInterrupt:
        assert call_under_way(looking.path) is None
    assert len(looking.seen) == 1


def test_the_death_of_the_process_leaves_the_case(tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_written import SPEC, case
from samplerfuzz.targets.written import WrittenTarget

class Deadly:
    spec = SPEC
    def run(self, case):
        os.kill(os.getpid(), signal.SIGKILL)

WrittenTarget(Deadly(), Path(sys.argv[1])).run(case(3))
"""
    path = tmp_path / "call.bin"
    environment = {**os.environ, "PYTHONPATH": str(Path(samplerfuzz.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program, str(path), str(Path(__file__).parent)], env=environment, timeout=60)
    assert done.returncode == -signal.SIGKILL
    _, found = call_under_way(path)
    assert found.digest() == case(3).digest()


def test_where_nothing_was_written_nothing_is_under_way(tmp_path):
    assert call_under_way(tmp_path / "call.bin") is None
