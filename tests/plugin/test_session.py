"""What the tests of a run of pytest share: seeds by test, directories by call, one error budget."""

from dataclasses import replace
from pathlib import Path

import pytest

from samplerfuzz.plugin.session import Session, Shares, plain_node_id

SESSION = Session(
    id="1", seed=7, started="2026-01-01T00:00:00+00:00", invoked="/here", directory="/here/reports/r", seconds=1.0, fail_on="medium"
)


def test_a_seed_depends_on_run_test_and_call_and_on_nothing_else():
    seeds = [SESSION.seed_of("a", 1), SESSION.seed_of("a", 2), SESSION.seed_of("b", 1), replace(SESSION, seed=8).seed_of("a", 1)]
    assert len(set(seeds)) == 4
    elsewhere = replace(SESSION, id="2", directory="/there", worker="gw7", copies=3)
    assert elsewhere.seed_of("a", 1) == seeds[0]


def test_a_session_travels_to_a_worker_unchanged():
    assert Session.from_text(SESSION.to_text()) == SESSION


def test_tests_that_differ_in_one_character_have_directories_of_their_own():
    ids = ["t.py::test_a[x]", "t.py::test_a[y]", "t.py::test_a[x-]", "t.py::test_a[é]", "t.py::test_a[../..]", f"t.py::test_a[{'x' * 500}]"]
    directories = {SESSION.directory_of(id, call) for id in ids for call in (1, 2)}
    assert len(directories) == 2 * len(ids)
    assert all(directory.parent == SESSION.tests and len(directory.name) < 100 for directory in directories)


def test_the_shares_of_any_run_never_add_up_to_more_than_the_budget():
    tests = [f"t{n}" for n in range(40)]
    for asking in (tests[:0], tests[:1], tests[:17], tests):
        shares = Shares(copies=1)
        shares.collected(tests, asking)
        # every test calls, asked or not, and calls again and again
        assert sum(shares.next_call(test)[1] for test in tests for _ in range(200)) <= 1


def test_the_copies_of_a_test_share_its_share():
    alone, copied = Shares(copies=1), Shares(copies=4)
    for shares in (alone, copied):
        shares.collected(["a", "b"], ["a"])
    assert copied.next_call("a")[1] == pytest.approx(alone.next_call("a")[1] / 4)


def test_the_share_of_a_test_does_not_depend_on_who_ran_before():
    first, second = Shares(copies=1), Shares(copies=1)
    for shares in (first, second):
        shares.collected(["a", "b", "c"], ["a", "b"])
    second.next_call("b")
    assert first.next_call("a") == second.next_call("a")


@pytest.mark.parametrize(
    ("nodeid", "groups", "plain"),
    [("t.py::a", [], "t.py::a"), ("t.py::a@g", ["g"], "t.py::a"), ("t.py::a[b@g]", [], "t.py::a[b@g]"), ("t.py::a", ["g"], "t.py::a")],
)
def test_the_group_of_xdist_is_no_part_of_a_node_id(nodeid, groups, plain):
    assert plain_node_id(nodeid, groups) == plain


def test_a_path_is_shown_as_it_is_typed():
    assert SESSION.shown(Path("/here/reports/r/report.html")) == "reports/r/report.html"
    assert SESSION.shown(Path("/there/report.html")) == "/there/report.html"
