"""The pytest plugin: samplers are fuzzed where their other tests are.

    def test_my_sampler(assert_sampler_conforms):
        assert_sampler_conforms(my_sampler, order=["temperature", "top_p"], returns="probs")

This module is imported in every run of pytest and loads the standard library and pytest only; everything else comes with the first call.
"""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from samplerfuzz.core.errors import SamplerFuzzError
from samplerfuzz.plugin.session import Session, Shares, plain_node_id

FIXTURE, MARK = "assert_sampler_conforms", "samplerfuzz"
_SECONDS, _FAIL_ON = 5.0, "medium"
# a first call may compile, on a machine that runs other tests beside this one
_CALL_TIMEOUT = 30.0
_SEVERITIES = ("low", "medium", "high", "critical")
_SETTINGS = ("seconds", "cases", "seed", "checks", "exclude_checks", "fail_on", "call_timeout")
_SHOWN = 20

_session = pytest.StashKey[Session]()
_shares = pytest.StashKey[Shares]()
_report = pytest.StashKey[Any]()
_trouble = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and their ini equivalents."""
    group = parser.getgroup("samplerfuzz", "fuzzing of samplers (samplerfuzz)")
    group.addoption("--samplerfuzz-seconds", type=float, metavar="S", help=f"Time for a sampler (default: {_SECONDS:g}).")
    group.addoption("--samplerfuzz-seed", type=int, metavar="N", help="Seed of the run (default: random, printed).")
    group.addoption("--samplerfuzz-fail-on", choices=_SEVERITIES, help=f"Lowest severity that fails a test (default: {_FAIL_ON}).")
    group.addoption(
        "--samplerfuzz-report-dir", metavar="DIR", help="Where the report goes (default: reports/<date-time>-pytest-<process>)."
    )
    group.addoption(
        "--samplerfuzz-replay", metavar="PATH", help="Run the findings of a report directory or a case file again, instead of fuzzing."
    )
    for name, what in (("seconds", "time for a sampler"), ("seed", "seed of the run"), ("fail_on", "lowest severity that fails a test")):
        parser.addini(f"samplerfuzz_{name}", f"{what}; the option --samplerfuzz-{name.replace('_', '-')} goes before it")
    parser.addini("samplerfuzz_report_dir", "where the report goes, from the root directory; --samplerfuzz-report-dir goes before it")


def pytest_configure(config: pytest.Config) -> None:
    """Settle what all tests share, or take it from the controller of xdist."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(seconds, cases, seed, checks, exclude_checks, fail_on, call_timeout, **declaration): defaults of {FIXTURE} in this test, "
        "class or module; the nearest mark that names a setting decides",
    )
    handed = getattr(config, "workerinput", {}).get(MARK)
    session = Session.from_text(handed) if handed else _new_session(config)
    config.stash[_session], config.stash[_shares] = session, Shares(copies=session.copies)


def _new_session(config: pytest.Config) -> Session:
    invoked = config.invocation_params.dir
    now = datetime.now().astimezone()
    seed = _setting(config, "seed", int, None)
    named, listed = config.getoption("samplerfuzz_report_dir"), config.getini("samplerfuzz_report_dir")
    directory = (
        invoked / named
        if named
        else config.rootpath / listed
        if listed
        # two runs may start in the same second
        else invoked / "reports" / f"{now:%Y%m%d-%H%M%S}-pytest-{os.getpid()}"
    )
    if (directory / "events.jsonl").exists():
        raise pytest.UsageError(f"{directory} holds a run of `samplerfuzz fuzz`, which is never overwritten; name another directory")
    return Session(
        id=uuid.uuid4().hex,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        started=now.isoformat(timespec="seconds"),
        invoked=str(invoked),
        directory=str(directory),
        seconds=_setting(config, "seconds", float, _SECONDS),
        fail_on=_setting(config, "fail_on", str, _FAIL_ON),
        replay=config.getoption("samplerfuzz_replay") or "",
    )


def _setting(config: pytest.Config, name: str, kind: Callable[[str], Any], default: Any) -> Any:
    option, ini = config.getoption(f"samplerfuzz_{name}"), config.getini(f"samplerfuzz_{name}")
    given = ini if option is None else option
    if given is None or given == "":
        return default
    try:
        value = kind(given)
    except ValueError:
        value = None
    wanted = {"seconds": "a number above 0", "seed": "an integer from 0", "fail_on": f"one of {', '.join(_SEVERITIES)}"}[name]
    if value is None or (value not in _SEVERITIES if name == "fail_on" else value < 0 or (name == "seconds" and not value > 0)):
        raise pytest.UsageError(f"samplerfuzz_{name} is {given!r}; expected {wanted}")
    return value


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand what all tests share to a worker of xdist."""
    session = node.config.stash[_session]
    if node.config.getoption("dist", "no") == "each":
        # every worker runs every test: they share the error budget, and each leaves directories of its own
        session = Session(**{**vars(session), "worker": node.workerinput["workerid"], "copies": node.workerinput["workercount"]})
    node.workerinput[MARK] = session.to_text()


def pytest_report_header(config: pytest.Config) -> str:
    """Tell the seed, without which nothing can be run again."""
    session = config.stash[_session]
    return f"samplerfuzz: seed {session.seed}, {session.seconds:g} s a sampler"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Learn among how many tests the error budget is split."""
    asking = [_node_id(item) for item in session.items if FIXTURE in getattr(item, "fixturenames", ())]
    session.config.stash[_shares].collected([item.nodeid for item in session.items], asking)


@pytest.fixture
def assert_sampler_conforms(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Fuzz a sampler in a test, and fail the test with what is found: `assert_sampler_conforms(function, order=[...], ...)`.

    The function is called in the test's own process, so that closures, fixtures, patched modules, coverage and debuggers work as in any
    other test. What ends that process ends the worker of xdist with it; the call under way is then reported, since every case is on
    disk before it is run. A function given by name, "FILE.py:NAME" or "package.module:NAME", is called in a process of its own:
    that is for native code, where crashes and hangs are findings and the other tests go on.

    Args of the call:
      function: a sampler under the plain-function contract, or its name.
      seconds: time; `--samplerfuzz-seconds` where neither the call nor a mark says another.
      cases: stop after so many (row, configuration) pairs.
      seed: default: from the seed of the run and the test's node id, whichever worker runs it.
      checks, exclude_checks: ids or kinds, in a list or separated by commas.
      fail_on: lowest severity that fails the test; what lies below stands in the report only.
      call_timeout: seconds after which a call is a hang (default: 30).
      order, returns, per_row, dialect, ...: what `samplerfuzz.target` declares. Where one is given, they hold instead of what the
        function declares itself.

    The call fails the test where there are findings, and where no case reached a verdict: a run that tested nothing is never green.
    The tests of a run of pytest share one error budget, however many they are. Warnings of the function are no answers and are
    ignored.
    """
    item: pytest.Item = request.node
    marked = _marked(item)

    def assert_sampler_conforms(function: Callable[..., Any] | str, **given: Any) -> None:
        __tracebackhide__ = True
        from samplerfuzz.engine.events import INTERRUPTED
        from samplerfuzz.engine.run import CLEAN, NOTHING_TESTED
        from samplerfuzz.plugin.conformance import Asked, Test, conform
        from samplerfuzz.plugin.replayed import replayed

        session, shares = item.config.stash[_session], item.config.stash[_shares]
        id = _node_id(item)
        call, share = shares.next_call(id)
        settings = {
            "seconds": session.seconds,
            "cases": None,
            "seed": session.seed_of(id, call),
            "checks": (),
            "exclude_checks": (),
            "fail_on": session.fail_on,
            "call_timeout": _CALL_TIMEOUT,
            **marked,
            **given,
        }
        asked = Asked(
            **{name: settings.pop(name) for name in _SETTINGS if not name.endswith("checks")},
            checks=_names(settings.pop("checks")),
            exclude_checks=_names(settings.pop("exclude_checks")),
            declaration=settings,
        )
        test = Test(id=id, call=call, share=share, module=getattr(getattr(item, "module", None), "__name__", ""))
        if session.replay:
            n, broken = replayed(function, asked, test, session)
            if broken:
                pytest.fail("\n".join([f"samplerfuzz: recorded findings of {session.replay}", *broken]), pytrace=False)
            if not n:
                pytest.skip(f"{session.replay} holds no finding of this test")
            return
        ended = conform(function, asked, test, session)
        if ended.status == INTERRUPTED:
            raise KeyboardInterrupt
        if ended.status != CLEAN:
            what = "tested nothing: " if ended.status == NOTHING_TESTED else ""
            pytest.fail(f"samplerfuzz {what}{ended.text}", pytrace=False)

    return assert_sampler_conforms


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that asks for a sampler to be fuzzed and passes without that."""
    shares, id = item.config.stash[_shares], _node_id(item)
    before = shares.calls(id)
    yield
    asks = FIXTURE in getattr(item, "fixturenames", ()) or any(mark.name == MARK for mark in item.own_markers)
    if asks and shares.calls(id) == before:
        pytest.fail(f"samplerfuzz tested nothing: the test passed without a call of {FIXTURE}(function)", pytrace=False)


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport) -> None:
    """Tell which call of a sampler was under way when a worker of xdist died."""
    from samplerfuzz.plugin.crashed import crashed

    session = Session.from_text(report.node.workerinput[MARK])
    if not session.tests.is_dir():
        return
    try:
        told = crashed(crashitem, session)
    except (SamplerFuzzError, OSError) as error:
        told = f"samplerfuzz: {error}"
    if told:
        report.longrepr = f"{report.longrepr}\n{told}"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Merge what the tests have left into one report."""
    config = session.config
    config.stash[_report] = None
    if hasattr(config, "workerinput") or not config.stash[_session].tests.is_dir():
        return
    from samplerfuzz.plugin.merged import merge

    try:
        config.stash[_report] = merge(config.stash[_session])
    except (SamplerFuzzError, OSError) as error:
        config.stash[_trouble] = str(error)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show what was fuzzed, what was found and where the report is."""
    report, trouble = config.stash.get(_report, None), config.stash.get(_trouble, "")
    if report is None and not trouble:
        return
    terminalreporter.section("samplerfuzz")
    if trouble:
        terminalreporter.line(f"no merged report: {trouble}", red=True)
    if report is None:
        return
    session = config.stash[_session]
    n, tests = len(report.findings), report.settings["tests"]
    for finding in report.findings[:_SHOWN]:
        where = "" if finding.reproducer is None else f" · {session.shown(Path(session.directory) / finding.reproducer)}"
        terminalreporter.line(f"{finding.severity:<8} {finding.check} · {finding.target}{where}")
    if n > _SHOWN:
        terminalreporter.line(f"and {n - _SHOWN} more")
    terminalreporter.line(
        f"{tests} test{'s' * (tests != 1)} · {sum(t.pairs for t in report.targets):,} pairs · {sum(t.draws for t in report.targets):,} draws · "
        f"{n} finding{'s' * (n != 1)} · seed {session.seed}"
    )
    terminalreporter.line(f"report: {session.shown(Path(session.directory) / 'report.html')}")


def _node_id(item: pytest.Item) -> str:
    groups = [mark.args[0] if mark.args else mark.kwargs.get("name", "default") for mark in item.iter_markers("xdist_group")]
    return plain_node_id(item.nodeid, groups)


def _marked(item: pytest.Item) -> dict[str, Any]:
    """Return the settings of the marks of a test, its class and its module; the nearest decides."""
    settings: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers(MARK))):
        if mark.args:
            pytest.fail(f"@pytest.mark.{MARK}{mark.args!r}: its settings are given by name, for example seconds=30", pytrace=False)
        settings |= mark.kwargs
    return settings


def _names(given: str | Sequence[str]) -> list[str]:
    return [name.strip() for name in (given.split(",") if isinstance(given, str) else given) if name.strip()]
