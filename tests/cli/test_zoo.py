"""`samplerfuzz zoo`: the kill matrix says what was caught and what was not."""

import json
from dataclasses import replace

import pytest

from samplerfuzz.cli import main as cli
from samplerfuzz.zoo import DEFECTS, UNEXPRESSED

RIGHT = """
import numpy as np
import samplerfuzz as sf

@sf.target(order=["top_k"], returns="logits")
def right(logits, top_k):
    if not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
        raise ValueError
    k = logits.shape[1] if top_k <= 0 else min(int(top_k), logits.shape[1])
    return np.where(logits >= np.sort(logits, -1)[:, -k, None], logits, -np.inf)
"""


def here(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(["zoo", *arguments])
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def test_the_matrix_tells_caught_from_not_caught(capsys, monkeypatch, tmp_path):
    (tmp_path / "samplers.py").write_text(RIGHT, encoding="utf-8")
    monkeypatch.setitem(
        DEFECTS, "XX-00", replace(DEFECTS["OLD-05"], id="XX-00", target=f"{tmp_path / 'samplers.py'}:right", description="a | b")
    )
    code, out, err = here(capsys, "LC-01", "XX-00", "--max-time", "3", "--json", "--markdown", str(tmp_path / "zoo.md"))
    assert code == 1
    first, second = json.loads(out)
    assert (first["id"], first["caught"], first["as_expected"]) == ("LC-01", True, True)
    assert (first["rows"], first["vocabulary"] <= 8) == (1, True)
    assert (second["caught"], second["checks"], second["seconds"]) == (False, [], None)
    assert "NOT CAUGHT" in err
    document = (tmp_path / "zoo.md").read_text(encoding="utf-8")
    assert "1 of 2 caught" in document
    assert "| a \\| b | **no** |" in document
    assert all(f"| {name} |" in document for name in UNEXPRESSED)


def test_an_unknown_defect_is_refused(capsys):
    code, _, err = here(capsys, "LC-00")
    assert code == 2
    assert "unknown defect 'LC-00'; known: " in err
