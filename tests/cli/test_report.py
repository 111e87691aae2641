"""`samplerfuzz report --issue`: a finding becomes a bug report that stands alone."""

import subprocess
import sys

from click.testing import CliRunner

from samplerfuzz.cli.main import group

FILE = """\
import numpy as np
import samplerfuzz as sf

@sf.target(order=["top_k"], returns="logits")
def mine(logits, top_k):
    if top_k < 1 or np.isnan(logits).any():
        raise ValueError("top_k | `k`")
    ranks = np.argsort(np.argsort(-logits, -1), -1)
    return np.where(ranks < max(1, top_k - 1), logits, -np.inf)
"""


def run(*arguments):
    return CliRunner().invoke(group, list(arguments))


def test_the_report_says_what_happens_and_carries_a_program_that_shows_it(tmp_path):
    file, directory = tmp_path / "mine.py", tmp_path / "run"
    file.write_text(FILE)
    found = run(
        "fuzz", f"{file}:mine", "--max-cases", "300", "--seed", "1", "--report-dir", str(directory), "--checks", "support", "--no-model"
    )
    assert found.exit_code == 1, found.output
    (program,) = (directory / "findings").glob("*.py")
    done = run("report", str(directory), "--issue", program.stem)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("### mine: ")
    assert "| `top_k` |" in done.output
    code = done.output.partition("```python\n")[2].partition("\n```")[0]
    assert code == program.read_text().rstrip()
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert alone.returncode == 1, alone.stderr


def test_an_unknown_finding_is_refused_with_the_known_ones(tmp_path):
    file, directory = tmp_path / "mine.py", tmp_path / "run"
    file.write_text(FILE)
    run("fuzz", f"{file}:mine", "--max-cases", "100", "--seed", "1", "--report-dir", str(directory), "--checks", "support", "--no-shrink")
    done = run("report", str(directory), "--issue", "0123456789")
    assert "no finding '0123456789'" in str(done.exception)
