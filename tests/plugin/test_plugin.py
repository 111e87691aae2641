"""Tests of somebody's project that fuzz samplers: alone, on two workers of xdist, with workers that die, and again on what was found."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

import samplerfuzz
from samplerfuzz.report.schema import Report
from samplerfuzz.stats import ALPHA

pytestmark = pytest.mark.xdist_group("plugin")
pytest_plugins = ["pytester"]

SAMPLERS = '''
import os
import numpy as np
import pytest
import samplerfuzz as sf

def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)

def fine(logits, temperature):
    if not (np.isfinite(temperature) and temperature > 0) or not (logits < np.inf).all() or (logits == -np.inf).all(-1).any():
        raise ValueError("temperature or logits")
    z = logits.astype(np.float64)
    return softmax((z - z.max(-1, keepdims=True)) / temperature)

def swapped(logits, temperature):
    """A bug: the two best tokens change places."""
    p = fine(logits, temperature)
    first, second = np.argsort(-p, -1)[:, :2].T if p.shape[1] > 1 else (np.zeros(len(p), int),) * 2
    rows = np.arange(len(p))
    p[rows, first], p[rows, second] = p[rows, second], p[rows, first].copy()
    return p

@sf.target(returns="probs")
def deadly(logits, temperature):
    if len(logits) > 2:
        os.abort()
    return fine(logits, temperature)
'''
TESTS = """
def test_fine(assert_sampler_conforms):
    assert_sampler_conforms(fine, returns="probs")

def test_swapped(assert_sampler_conforms):
    assert_sampler_conforms(swapped, returns="probs", checks="probability_matches_the_definition")

@pytest.mark.xdist_group("closures")
@pytest.mark.parametrize("bad", [False, True])
def test_closure(assert_sampler_conforms, bad):
    def sample(logits, temperature):
        return (swapped if bad else fine)(logits, temperature)
    assert_sampler_conforms(sample, returns="probs", checks=["distribution"])

def test_twice(assert_sampler_conforms):
    for _ in range(2):
        assert_sampler_conforms(fine, returns="probs", checks="contract,distribution")

def test_never_calls(assert_sampler_conforms):
    pass

def test_skips(assert_sampler_conforms):
    pytest.skip("on purpose")

def test_refuses_everything(assert_sampler_conforms):
    def sample(logits, top_k):
        raise ValueError("not today")
    assert_sampler_conforms(sample, returns="probs", checks="distribution", cases=100)

@pytest.mark.samplerfuzz(fail_on="critical", seed=5)
def test_marked(assert_sampler_conforms):
    assert_sampler_conforms(swapped, returns="probs", checks="distribution")

@pytest.mark.samplerfuzz(seconds=1)
def test_marked_in_vain():
    pass

def test_misspelt(assert_sampler_conforms):
    assert_sampler_conforms(fine, ordr=["temperature"])

def test_draws(assert_sampler_conforms):
    def sample(logits, temperature, seed):
        p = fine(logits, temperature)
        return (p.cumsum(-1) < np.random.default_rng(seed).random((len(p), 1))).sum(-1).clip(0, p.shape[1] - 1)
    assert_sampler_conforms(sample, returns="tokens", checks="draws", exclude_checks="neighbouring_rows_draw_independently")
"""
DEADLY = """
def test_deadly(assert_sampler_conforms):
    assert_sampler_conforms(deadly, checks="contract")

def test_deadly_closure(assert_sampler_conforms):
    def sample(logits, temperature):
        return deadly(logits, temperature)
    assert_sampler_conforms(sample, returns="probs", checks="contract")

def test_deadly_by_name(assert_sampler_conforms):
    assert_sampler_conforms("test_samplers.py:deadly", checks="contract")
"""
NUCLEUS = """
import numpy as np
import samplerfuzz as sf

@sf.target(order=["temperature", "top_p"], returns="probs")
def nucleus(logits, temperature, top_p):
    if not (np.isfinite(temperature) and temperature > 0 and 0 < top_p <= 1):
        raise ValueError("temperature or top_p")
    if not (logits < np.inf).all() or (logits == -np.inf).all(-1).any():
        raise ValueError("logits")
    z = logits.astype(np.float64)
    p = np.exp((z - z.max(-1, keepdims=True)) / temperature)
    p /= p.sum(-1, keepdims=True)
    order = np.argsort(-p, -1)
    q = np.take_along_axis(p, order, -1)
    np.put_along_axis(p, order, np.where(q.cumsum(-1) - q < top_p, q, 0), -1)
    return p / p.sum(-1, keepdims=True)
"""
RED = {
    "test_swapped",
    "test_closure[True]",
    "test_never_calls",
    "test_refuses_everything",
    "test_marked_in_vain",
    "test_misspelt",
}
GREEN = {"test_fine", "test_closure[False]", "test_twice", "test_marked", "test_draws"}
OPTIONS = ["--samplerfuzz-seed=11", "--samplerfuzz-seconds=0.4", "-p", "no:cacheprovider", "-rA", "-v"]
# whether or not the plugin is installed, once is enough
PLUGIN = ["-p", "no:samplerfuzz", "-p", "samplerfuzz.pytest_plugin"]


def run_pytest(directory, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"PYTHONPATH": str(Path(samplerfuzz.__file__).parents[1]), "COLUMNS": "200"}
    command = [sys.executable, "-m", "pytest", *PLUGIN, *OPTIONS, *arguments]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=200)
    found = re.findall(r"^(PASSED|FAILED|ERROR) test_samplers\.py::(\S+?)(?:@\w+)?(?: - .*)?$", done.stdout, re.M)
    outcomes = {name: outcome for outcome, name in found}
    return SimpleNamespace(code=done.returncode, out=done.stdout, errors=done.stderr, outcomes=outcomes, directory=directory)


def report(directory):
    return Report.model_validate_json((directory / "report.json").read_text(encoding="utf-8"))


def seeds(directory):
    """Return test and call -> seed, of every call that a run of pytest has made."""
    settings = [json.loads(path.read_text(encoding="utf-8"))["settings"] for path in directory.glob("tests/*/report.json")]
    return {(s["test"], s["call"]): s["seed"] for s in settings}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("project")
    (directory / "test_samplers.py").write_text(SAMPLERS + TESTS + DEADLY, encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def alone(project):
    return run_pytest(project, "-k", "not deadly", "--samplerfuzz-report-dir=alone")


@pytest.fixture(scope="module")
def spread(project):
    return run_pytest(project, "-n2", "--dist=load", "--samplerfuzz-report-dir=spread")


def test_a_test_is_red_where_something_is_found_or_nothing_was_tested(alone):
    assert {name for name, outcome in alone.outcomes.items() if outcome == "FAILED"} == RED, alone.out
    assert {name for name, outcome in alone.outcomes.items() if outcome == "PASSED"} == GREEN
    assert alone.code == 1


def test_a_failure_is_the_finding_as_a_run_shows_it(alone):
    _, _, failure = alone.out.partition("_ test_swapped _")
    failure, _, _ = failure.partition("\n____")
    assert "╭─  MEDIUM  probability_matches_the_definition" in failure
    assert "target       test_samplers.py:swapped" in failure
    assert "\x1b" not in alone.out
    program = re.search(r"^reproduce: python (\S+)$", failure, re.M)[1]
    done = subprocess.run([sys.executable, program], cwd=alone.directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    assert 'again: pytest "test_samplers.py::test_swapped" --samplerfuzz-replay alone' in failure


def test_a_run_that_tested_nothing_says_so(alone):
    assert "tested nothing: the test passed without a call of assert_sampler_conforms(function)" in alone.out
    assert re.search(r"tested nothing: \S+sample: no case reached a verdict", alone.out)


def test_a_misspelt_declaration_names_the_known_ones(alone):
    assert re.search(r"UsageError: unknown argument 'ordr'; what a function declares: order, returns", alone.out)


def test_a_finding_below_the_level_of_a_mark_is_reported_all_the_same(alone):
    marked = [f for f in report(alone.directory / "alone").findings if f.target == "test_samplers.py::test_marked"]
    assert [f.check for f in marked] == ["probability_matches_the_definition"]
    assert seeds(alone.directory / "alone")["test_samplers.py::test_marked", 1] == 5


def test_the_summary_says_what_was_tested_and_where_the_report_is(alone):
    _, _, summary = alone.out.partition("= samplerfuzz =")
    assert "medium   probability_matches_the_definition · test_samplers.py::test_swapped · alone/tests/" in summary
    assert re.search(r"^8 tests · [\d,]+ pairs · [1-9][\d,]* draws · \d findings · seed 11$", summary, re.M), summary
    assert "report: alone/report.html" in summary


def test_all_tests_are_merged_into_one_report(alone):
    merged = report(alone.directory / "alone")
    names = {t.target.removeprefix("test_samplers.py::") for t in merged.targets}
    assert names == {*GREEN, *RED, "test_twice (call 2)"} - {"test_never_calls", "test_marked_in_vain", "test_misspelt"}
    assert (merged.status, merged.seed) == (1, 11)
    assert len({f.id for f in merged.findings}) == len(merged.findings)
    for finding in merged.findings:
        assert (alone.directory / "alone" / finding.reproducer).is_file()
    suites = {suite.get("name") for suite in ElementTree.parse(alone.directory / "alone" / "junit.xml").iter("testsuite")}
    assert suites == {t.target for t in merged.targets}
    sarif = json.loads((alone.directory / "alone" / "sarif.json").read_text(encoding="utf-8"))
    assert len(sarif["runs"][0]["results"]) == len(merged.findings)
    assert "test_samplers.py::test_swapped" in (alone.directory / "alone" / "report.html").read_text(encoding="utf-8")


def test_all_tests_together_spend_one_error_budget(alone):
    spent = [json.loads(path.read_text(encoding="utf-8")) for path in alone.directory.glob("alone/tests/*/report.json")]
    assert sum(run["settings"]["alpha"] for run in spent) <= ALPHA
    assert 0 < report(alone.directory / "alone").alpha_spent <= ALPHA


def test_two_workers_come_to_the_same_verdicts_with_the_same_seeds(alone, spread):
    assert {name: outcome for name, outcome in spread.outcomes.items() if "deadly" not in name} == alone.outcomes, spread.out
    here, there = seeds(alone.directory / "alone"), seeds(spread.directory / "spread")
    assert {key: seed for key, seed in there.items() if "deadly" not in key[0]} == here
    names = {t.target for t in report(spread.directory / "spread").targets if "deadly" not in t.target}
    assert names == {t.target for t in report(alone.directory / "alone").targets}


def test_the_group_of_a_test_does_not_change_its_seed(alone, project):
    grouped = run_pytest(project, "-n1", "--dist=loadgroup", "-k", "closure and not deadly", "--samplerfuzz-report-dir=grouped")
    assert grouped.outcomes == {"test_closure[False]": "PASSED", "test_closure[True]": "FAILED"}, grouped.out
    here = seeds(alone.directory / "alone")
    assert seeds(grouped.directory / "grouped") == {key: seed for key, seed in here.items() if "closure" in key[0]}


def test_the_call_that_killed_a_worker_is_a_finding_where_it_kills_again(spread):
    assert spread.outcomes["test_deadly"] == "FAILED"
    _, _, told = spread.out.partition("the worker died in this call of test_samplers.py:deadly")
    assert "CRITICAL  process_survives" in told.partition("\n____")[0]
    (finding,) = [f for f in report(spread.directory / "spread").findings if f.target.endswith("::test_deadly")]
    assert (finding.check, finding.severity, len(finding.case.logits)) == ("process_survives", "critical", 3)


def test_the_call_that_killed_a_worker_is_told_where_nothing_can_repeat_it(spread):
    assert spread.outcomes["test_deadly_closure"] == "FAILED"
    _, _, told = spread.out.partition("the worker died in this call of test_samplers.py:test_deadly_closure.<locals>.sample, case ")
    told = told.partition("\n____")[0]
    assert "not confirmed as the cause" in told
    case = json.loads((spread.directory / told.split()[0]).read_text(encoding="utf-8"))
    assert len(case["logits"]) > 2
    assert not [f for f in report(spread.directory / "spread").findings if f.target.endswith("::test_deadly_closure")]


def test_a_function_given_by_name_dies_alone(spread):
    assert spread.outcomes["test_deadly_by_name"] == "FAILED"
    (finding,) = [f for f in report(spread.directory / "spread").findings if f.target.endswith("::test_deadly_by_name")]
    assert finding.check == "process_survives"
    assert spread.out.count("crashed while running") == 2 * 2  # in the failure and in the short summary, of the two others


def test_recorded_findings_are_run_again_in_their_tests_until_they_are_fixed(alone, tmp_path):
    again = run_pytest(alone.directory, "-k", "swapped or closure or fine", "--samplerfuzz-replay=alone")
    assert again.outcomes == {"test_swapped": "FAILED", "test_closure[True]": "FAILED"}
    assert "FAILED  " in again.out
    assert "alone holds no finding of this test" in again.out
    fixed = (SAMPLERS + TESTS).replace("    p[rows, first], p[rows, second] =", "    _, _ =")
    (tmp_path / "test_samplers.py").write_text(fixed, encoding="utf-8")
    repaired = run_pytest(tmp_path, "-k", "swapped or True", f"--samplerfuzz-replay={alone.directory / 'alone'}")
    assert repaired.outcomes == {"test_swapped": "PASSED", "test_closure[True]": "PASSED"}, repaired.out


def test_the_tests_of_the_readme_pass_on_a_correct_sampler(tmp_path):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## In your CI")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert len(blocks) == 2
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "sampling.py").write_text(NUCLEUS, encoding="utf-8")
    (tmp_path / "test_samplers.py").write_text("\n".join(blocks).replace("seconds=30", "seconds=0.5"), encoding="utf-8")
    done = run_pytest(tmp_path)
    tests = ("test_nucleus", "test_a_closure", "test_nucleus_conforms", "test_nucleus_sums_to_one")
    assert done.outcomes == dict.fromkeys(tests, "PASSED"), done.out


@pytest.mark.parametrize(
    ("ini", "arguments", "words"),
    [
        ("samplerfuzz_seconds = soon", [], "samplerfuzz_seconds is 'soon'; expected a number above 0"),
        ("samplerfuzz_fail_on = never", [], "expected one of low, medium, high, critical"),
        ("", ["--samplerfuzz-seed=-1"], "expected an integer from 0"),
        ("samplerfuzz_report_dir = taken", [], "holds a run of `samplerfuzz fuzz`"),
    ],
)
def test_settings_that_mean_nothing_are_usage_errors(pytester, ini, arguments, words):
    pytester.makeini(f"[pytest]\n{ini}")
    pytester.mkdir("taken").joinpath("events.jsonl").touch()
    done = pytester.runpytest_inprocess(*PLUGIN, *arguments)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(f"*{words}*")


def test_a_run_without_samplers_leaves_nothing(pytester):
    pytester.makepyfile("def test_other():\n    pass\n")
    done = pytester.runpytest_inprocess(*PLUGIN)
    done.assert_outcomes(passed=1)
    assert not pytester.path.joinpath("reports").exists()
    assert "= samplerfuzz =" not in done.stdout.str()
