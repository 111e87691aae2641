"""`samplerfuzz compare` as a person uses it."""

import json
import sys

from click.testing import CliRunner

from samplerfuzz.cli.main import group

FILE = """\
import numpy as np
import samplerfuzz as sf

@sf.target(order=["min_p"], returns="logits")
def right(logits, min_p):
    if not 0 <= min_p <= 1 or not np.isfinite(logits.max(-1)).all() or np.isnan(logits).any():
        raise ValueError("min_p")
    with np.errstate(divide="ignore"):
        return np.where(logits >= logits.max(-1, keepdims=True) + np.log(min_p), logits, -np.inf)

@sf.target(order=["min_p"], returns="logits")
def wrong(logits, min_p):
    return right(logits, min_p * min_p)
"""


def run(*arguments):
    return CliRunner().invoke(group, ["compare", *arguments])


def test_the_wrong_one_is_named_with_a_row(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    done = run(f"{file}:right", f"{file}:wrong", "--max-cases", "400", "--seed", "1")
    assert done.exit_code == 1, done.output
    assert "B is wrong" in done.output
    assert "A is wrong" not in done.output
    assert "logits [" in done.output
    same = run(f"{file}:right", f"{file}:right", "--max-cases", "200", "--seed", "1", "--json")
    assert same.exit_code == 0, same.output
    (told,) = json.loads(same.output)["comparisons"]
    assert told["differ"] == []
    assert told["agree"] > 100


def test_two_libraries_without_a_common_function_are_refused():
    done = run("numpy", "builtin:top_p", "--python", sys.executable)
    assert done.exit_code != 0
    assert "no function of the same name that gives logits or probabilities" in str(done.exception)
