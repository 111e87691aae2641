"""A corpus: what met new behaviour is thrown first in later runs, merged without doubles, and made as small as it can be."""

import json
from pathlib import Path

import pytest

from samplerfuzz.cases.corpus import cases_for, file_of, files, read
from samplerfuzz.cli import main as cli
from samplerfuzz.targets.isolated import load_target

SAMPLERS = """
import numpy as np

def sample(logits, temperature):
    if not 0 < temperature < np.inf or not (logits < np.inf).all() or not (logits > -np.inf).any(-1).all():
        raise ValueError
    with np.errstate(all="ignore"):
        return np.where(logits > -np.inf, np.maximum(logits / temperature, -3e38), -np.inf)

def draw(logits, temperature, u, history):
    return sample(logits, temperature).argmax(-1)
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("samplers.py").write_text(SAMPLERS, encoding="utf-8")


def here(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def fuzz(capsys, name, seed, cases=1500):
    code, out, err = here(
        capsys,
        *("fuzz", f"samplers.py:{name}", "--no-model", "--max-cases", str(cases), "--checks", "support", "--seed", str(seed)),
        *("--corpus", "corpus", "--report-dir", f"run-{name}-{seed}", "--json"),
    )
    assert code in (0, 1), err
    return json.loads(out)["targets"][0]


def cells(target, cases):
    from samplerfuzz.checks.judgement import Judgement
    from samplerfuzz.engine.novelty import Novelty

    novelty = Novelty(target.spec.parameters)
    for case in cases:
        novelty.saw(Judgement(target.spec, case, target.run(case)), 0.0)
    return novelty.cells


def test_what_is_kept_shows_it_again_and_minimising_loses_nothing(capsys):
    met = fuzz(capsys, "sample", 1)["cells"]
    kept = files(Path("corpus"))
    assert {path.parent.name for path in kept} == {"temperature"}
    assert all(file_of(read(path)) == path.relative_to("corpus") for path in kept)
    target = load_target("samplers.py:sample")
    try:
        before = cells(target, cases_for(Path("corpus"), frozenset(["temperature"]), frozenset()))
        assert len(before) >= 0.9 * met
        code, out, _ = here(capsys, "corpus", "minimise", "corpus", "samplers.py:sample")
        assert code == 0
        assert cells(target, cases_for(Path("corpus"), frozenset(["temperature"]), frozenset())) == before
    finally:
        target.close()
    assert f"{len(files(Path('corpus')))} kept of those tried" in out
    # a later run knows them before its own cases: the same seed adds little
    assert fuzz(capsys, "sample", 2, cases=300)["cells"] >= len(before)


def test_a_target_is_given_what_it_takes(capsys):
    fuzz(capsys, "draw", 1, cases=300)
    fuzz(capsys, "sample", 1, cases=300)
    assert {path.parent.name for path in files(Path("corpus"))} == {"history+temperature+u", "temperature"}
    assert all(case.u is None for case in cases_for(Path("corpus"), frozenset(["temperature"]), frozenset()))
    assert any(True for _ in cases_for(Path("corpus"), frozenset(["temperature"]), frozenset(["u", "output"])))
    assert not list(cases_for(Path("corpus"), frozenset(["top_k"]), frozenset()))


def test_merging_takes_over_what_is_new(capsys):
    fuzz(capsys, "sample", 1, cases=300)
    Path("corpus").rename("other")
    fuzz(capsys, "sample", 2, cases=300)
    mine, theirs = ({p.relative_to(root) for p in files(Path(root))} for root in ("corpus", "other"))
    code, out, _ = here(capsys, "corpus", "merge", "corpus", "other")
    assert code == 0
    assert {p.relative_to("corpus") for p in files(Path("corpus"))} == mine | theirs
    assert out == f"{len(theirs - mine)} new, {len(mine | theirs)} in all\n"
    assert f"{len(mine | theirs):6}  temperature" in here(capsys, "corpus", "ls", "corpus")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ls", "nowhere"], "nowhere holds no corpus"),
        (["minimise", "nowhere", "samplers.py:sample"], "nowhere holds no case that samplers.py:sample can be given"),
    ],
)
def test_a_corpus_that_is_not_there_is_named(capsys, arguments, message):
    code, _, err = here(capsys, "corpus", *arguments)
    assert code == 2
    assert message in err


def test_a_damaged_case_is_named(capsys):
    Path("corpus/temperature").mkdir(parents=True)
    Path("corpus/temperature/x.json").write_text('{"logits": [', encoding="utf-8")
    code, _, err = here(
        capsys, "fuzz", "samplers.py:sample", "--corpus", "corpus", "--no-model", "--max-cases", "50", "--report-dir", "run"
    )
    assert code == 2
    assert "corpus/temperature/x.json is no case of a corpus" in err
