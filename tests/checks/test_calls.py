"""A sampler that carries something over from one call to the next is found, shrunk and shown; one that is pure is not."""

import subprocess
import sys

from samplerfuzz.engine.campaign import Limits
from samplerfuzz.engine.events import FindingFound
from samplerfuzz.engine.run import run, select_checks
from samplerfuzz.report.reproducer import write_reproducer
from samplerfuzz.targets.isolated import load_target

LATE = """\
import numpy as np
import samplerfuzz as sf

LAST = {{}}

@sf.target(order=["top_k"], returns="logits")
def mine(logits, top_k):
    if top_k < 1 or not (np.isfinite(logits.max(-1)).all()):
        raise ValueError("top_k or logits")
    k = min(top_k, logits.shape[1])
    level = -np.sort(-logits, -1)[:, k - 1][:, None]
    known = LAST.get("call")
    LAST["call"] = (logits.shape, logits.copy(), level)
    {carries}
    return np.where(logits >= level, logits, -np.inf)
"""
# the threshold is that of the call before where rows are as many and as long, and rows are new
CARRIES = "level = known[2] if known and known[0] == logits.shape and not np.array_equal(known[1], logits) else level"


def found(tmp_path, body):
    file = tmp_path / "mine.py"
    file.write_text(LATE.format(carries=body))
    findings = []
    target = load_target(f"{file}:mine")
    try:
        run(
            [target],
            checks=select_checks(["earlier_calls_change_nothing"], []),
            seed=3,
            limits=Limits(seconds=20, cases=3000),
            fail_on="low",
            listener=lambda event: findings.append(event.finding) if isinstance(event, FindingFound) else None,
        )
    finally:
        target.close()
    return findings


def test_what_is_carried_over_is_found_shrunk_and_shown(tmp_path):
    (finding, *_) = found(tmp_path, CARRIES)
    assert finding.violation.check == "earlier_calls_change_nothing"
    assert finding.case.vocabulary <= 4
    assert finding.case.rows == 1
    program = write_reproducer(finding, tmp_path)
    done = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    (tmp_path / "mine.py").write_text(LATE.format(carries="pass"))
    assert subprocess.run([sys.executable, program], capture_output=True).returncode == 0


def test_a_pure_function_is_not_accused(tmp_path):
    assert found(tmp_path, "pass") == []
