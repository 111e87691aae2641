"""Known findings: a run fails on what is new, until they expire."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samplerfuzz.cli import main as cli

SOURCE = """
import numpy as np
import samplerfuzz as sf

@sf.target(order=["top_k"], returns="logits")
def wrong(logits, top_k):
    k = logits.shape[1] if top_k <= 0 else min(int(top_k) + 1, logits.shape[1])
    return np.where(logits >= np.sort(logits, -1)[:, -k, None], logits, -np.inf)
"""
TODAY = datetime.now(UTC).date()
TOMORROW, YESTERDAY = str(TODAY + timedelta(days=1)), str(TODAY - timedelta(days=1))


@pytest.fixture(autouse=True)
def samplers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("samplers.py").write_text(SOURCE, encoding="utf-8")


def here(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def fuzz(capsys, directory, *options):
    return here(
        capsys, "fuzz", "samplers.py:wrong", "--no-model", "--max-cases", "300", "--checks", "support", "--report-dir", directory, *options
    )


def add(capsys, *options):
    return here(capsys, "baseline", "add", "first", "--reason", "issue 812", *options)


def test_a_known_finding_does_not_fail_until_it_expires(capsys):
    assert fuzz(capsys, "first")[0] == 1
    assert add(capsys, "--expires", TOMORROW)[0] == 0
    code, out, _ = fuzz(capsys, "second")
    assert code == 0
    assert "issue 812" in out
    assert "nothing new, 1 known" in out
    report = json.loads(Path("second/report.json").read_text(encoding="utf-8"))
    assert [f["known"] for f in report["findings"]] == ["issue 812"]
    sarif = json.loads(Path("second/sarif.json").read_text(encoding="utf-8"))
    assert sarif["runs"][0]["results"][0]["suppressions"] == [{"kind": "external", "justification": "issue 812"}]
    junit = Path("second/junit.xml").read_text(encoding="utf-8")
    assert 'failures="0"' in junit
    assert "known: issue 812" in junit
    assert fuzz(capsys, "third", "--no-baseline")[0] == 1
    text = Path("fuzz/baseline.json").read_text(encoding="utf-8")
    Path("fuzz/baseline.json").write_text(text.replace(TOMORROW, YESTERDAY), encoding="utf-8")
    code, _, err = fuzz(capsys, "fourth")
    assert code == 1
    assert f"expired on {YESTERDAY}, counts again" in err
    assert "EXPIRED" in here(capsys, "baseline", "ls")[1]
    assert here(capsys, "baseline", "prune")[1] == "1 expired of 1\n"
    assert here(capsys, "baseline", "ls")[1] == ""


def test_a_known_finding_ends_no_campaign_early(monkeypatch):
    monkeypatch.setattr("samplerfuzz.engine.campaign._PATIENCE", 1.0)
    from samplerfuzz.engine.campaign import Limits
    from samplerfuzz.engine.events import TargetFinished
    from samplerfuzz.engine.run import run, select_checks
    from samplerfuzz.targets.isolated import load_target

    def seconds(accepted):
        ended = []
        target = load_target(f"{Path('samplers.py').resolve()}:wrong")
        run(
            [target],
            checks=select_checks(["support"], []),
            seed=1,
            limits=Limits(seconds=4.0),
            fail_on="low",
            listener=lambda event: ended.append(event) if isinstance(event, TargetFinished) else None,
            accepted=accepted,
        )
        target.close()
        return ended[0]

    found = seconds({})
    assert len(found.findings) == 1
    assert found.seconds < 4.0
    assert seconds({found.findings[0].id: "known"}).seconds >= 4.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--expires", YESTERDAY], f"--expires {YESTERDAY} is past; name a day from {TODAY} on"),
        (["--expires", TOMORROW, "--id", "none"], "first holds no finding none; it holds "),
        (["--expires", TOMORROW, "--reason", " "], "--reason is empty"),
    ],
)
def test_a_useless_entry_is_refused(capsys, options, message):
    fuzz(capsys, "first")
    code, _, err = add(capsys, *options)
    assert code == 2
    assert message in err
    assert not Path("fuzz").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid JSON"),
        ('{"findings": [{"id": "a"}]}', "findings.0.check: Field required"),
        ('{"findings": [{"id": "a", "check": "c", "target": "t", "reason": "r", "expires": "NaN"}]}', "findings.0.expires"),
        ('{"version": 2}', "version"),
        (json.dumps({"findings": [{"id": "a", "check": "c", "target": "t", "reason": "r", "expires": TOMORROW}] * 2}), "named twice"),
    ],
)
def test_a_damaged_baseline_is_named(capsys, text, message):
    Path("known.json").write_text(text, encoding="utf-8")
    code, _, err = fuzz(capsys, "first", "--baseline", "known.json")
    assert code == 2
    assert err.startswith("error: known.json")
    assert message in err
    assert not Path("first").exists()
