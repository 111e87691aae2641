"""A correct server is not accused; every planted fault is found, and its reproducer shows it with the standard library alone."""

import json
import shlex
import socket
import subprocess
import sys

import pytest
import stub_server
from click.testing import CliRunner
from stub_server import serving

from samplerfuzz.cli.main import group
from samplerfuzz.safety.policy_file import load_policy
from samplerfuzz.targets.http.client import Client
from samplerfuzz.targets.http.probe import probe

FAULTS = {
    "fails at a word": "server_does_not_fail",
    "takes NaN": "nonsense_is_not_answered",
    "refuses min_p=1": "legal_parameters_are_accepted",
    "wraps top_k": "settings_are_those_sent",
    "ignores the seed": "same_seed_gives_the_same_text",
    "has one seed": "different_seeds_give_different_draws",
    "never greedy": "greedy_takes_the_most_probable",
    "ignores min_p": "parameter_is_not_ignored",
    "top_p keeps one less": "kept_token_has_probability",
    "divides too much": "probability_matches_the_definition",
    "writes NaN": "answer_is_json",
    "hangs up at a word": "request_is_answered",
    "hangs at a word": "call_returns",
    "dies at a word": "process_survives",
}


def fuzz(url, directory, *arguments):
    """Return the exit status and the findings of a run that is bounded by its cases."""
    fixed = ("--max-time", "300", "--seed", "1", "--fail-on", "low", "--report-dir", str(directory), "--json")
    done = CliRunner().invoke(group, ["fuzz", url, *fixed, *arguments])
    assert done.exit_code in (0, 1), done.output
    return done.exit_code, json.loads((directory / "report.json").read_text())


def replayed(directory, *arguments):
    """Return the id and the status of every finding of a run that is run again."""
    done = CliRunner().invoke(group, ["replay", str(directory), "--json", *arguments])
    return {item["id"]: item["status"] for item in json.loads(done.stdout)["replays"]}


def test_a_correct_server_is_not_accused(tmp_path):
    with serving() as url:
        status, report = fuzz(url, tmp_path / "run", "--max-cases", "1500", "--workers", "2")
    assert [(f["check"], f["title"], f["observed"]["message"]) for f in report["findings"]] == []
    assert status == 0
    tested = report["targets"][0]["checks"]
    assert {name for name in FAULTS.values() if name != "process_survives"} <= tested.keys()
    assert all(tested[name] for name in FAULTS.values() if name != "process_survives")


def test_a_server_that_compiles_what_it_lists_the_first_time_is_asked_again():
    with serving("compiles what lists") as url:
        client = Client(url, seconds=0.5)
        assert probe(client).meaning == {"/completion": "raw", "/v1/completions": "raw"}
        client.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_its_reproducer_shows_it(fault, tmp_path):
    with serving(fault) as url:
        limit = ("--call-timeout", "2") if fault == "hangs at a word" else ()
        status, report = fuzz(url, tmp_path / "run", "--max-cases", "400", *limit)
        found = [f for f in report["findings"] if f["check"] == FAULTS[fault]]
        assert found, [(f["check"], f["title"]) for f in report["findings"]]
        assert status == 1
        program = tmp_path / "run" / found[0]["reproducer"]
        if fault != "dies at a word":
            shown = subprocess.run([sys.executable, "-S", program], capture_output=True, text=True, timeout=100)
            assert shown.returncode == 1, shown.stdout + shown.stderr
            with serving() as right:
                shown = subprocess.run([sys.executable, "-S", program, right], capture_output=True, text=True, timeout=100)
            assert shown.returncode == 0, shown.stdout + shown.stderr
            again = replayed(tmp_path / "run", *limit)
            assert again[found[0]["id"]] == "FAILED", again
    shown = subprocess.run([sys.executable, "-S", program], capture_output=True, text=True, timeout=100)
    assert shown.returncode == 2, shown.stdout + shown.stderr
    for name in ("report.html", "junit.xml", "sarif.json"):
        assert FAULTS[fault] in (tmp_path / "run" / name).read_text()


def test_a_repaired_server_is_said_to_be_and_one_that_is_not_there_too(tmp_path):
    with serving("takes NaN") as url:
        fuzz(url, tmp_path / "run", "--max-cases", "400", "--checks", "nonsense_is_not_answered")
    assert set(replayed(tmp_path / "run").values()) == {"ERROR"}
    with serving(port=int(url.rpartition(":")[2])):
        assert set(replayed(tmp_path / "run").values()) == {"FIXED"}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def started(fault, port):
    """Return the command that serves the stub on a port."""
    return shlex.join([sys.executable, stub_server.__file__, str(port), fault])


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_server_that_a_request_ends_is_started_again_and_the_rest_is_tried(workers, tmp_path):
    url = f"http://127.0.0.1:{(port := free_port())}"
    status, report = fuzz(url, tmp_path / "run", "--max-cases", "500", "--workers", workers, "--start", started("dies at a word", port))
    assert status == 1
    # found once, on one request, though every endpoint has a temperature and several were under way
    fatal = [finding for finding in report["findings"] if finding["check"] == "process_survives"]
    assert fatal
    for finding in fatal:
        assert [request["body"] and "hot" in request["body"] for request in finding["observed"]["requests"]] == [True, None], finding
    assert {finding["check"] for finding in report["findings"]} == {"process_survives"}
    target = report["targets"][0]
    # the whole contract was gone through, and the rows after it
    assert target["outcomes"]["pass"] > 200
    assert target["checks"]["probability_matches_the_definition"] > 50
    assert (tmp_path / "run" / "server.log").read_text().count("about to serve") > len(fatal)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass  # nothing of it is left


@pytest.mark.parametrize(
    ("command", "word"),
    [("no-such-program --port 1", "cannot be run"), ("false", "ended with status 1"), ("'", "no command"), (" ", "names no command")],
)
def test_a_server_that_does_not_start_is_a_usage_error(command, word, tmp_path):
    done = CliRunner().invoke(group, ["fuzz", f"http://127.0.0.1:{free_port()}", "--start", command, "--report-dir", str(tmp_path / "run")])
    assert word in done.output + str(done.exception)


def test_start_needs_a_server_that_does_not_run_yet(tmp_path):
    with serving() as url:
        done = CliRunner().invoke(group, ["fuzz", url, "--start", "true", "--report-dir", str(tmp_path / "run")])
        assert "already" in done.output + str(done.exception)
    done = CliRunner().invoke(group, ["fuzz", "builtin:top_p", "--start", "true"])
    assert "server only" in done.output + str(done.exception)
    done = CliRunner().invoke(group, ["fuzz", "http://127.0.0.1:9", "http://127.0.0.1:10", "--start", "true"])
    assert "one server" in done.output + str(done.exception)


def test_a_finding_is_shrunk_to_the_settings_it_needs(tmp_path):
    with serving("top_p keeps one less") as url:
        _, report = fuzz(url, tmp_path / "run", "--max-cases", "400")
    titles = {f["title"].rpartition("with ")[2] for f in report["findings"] if f["check"] == "kept_token_has_probability"}
    # where another filter came first, the same top_p alone may leave one token, which this fault spares
    assert titles
    assert all("top_p" in title.split("+") and len(title.split("+")) <= 2 for title in titles), titles


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["http://127.0.0.1:9"], "does not answer"),
        (["http://192.0.2.1"], "--allow-network"),
        (["http://"], "no server"),
        (["http://127.0.0.1:x"], "no URL"),
        (["http://127.0.0.1:9", "builtin:top_p"], "two runs"),
        (["http://127.0.0.1:9", "--python", sys.executable], "means nothing to a server"),
    ],
)
def test_what_cannot_be_fuzzed_is_a_usage_error(arguments, word, tmp_path):
    done = CliRunner().invoke(group, ["fuzz", *arguments, "--report-dir", str(tmp_path / "run")])
    assert done.exit_code == 2 or done.exception is not None
    assert word in done.output + str(done.exception)
    assert not (tmp_path / "run").exists()


def test_a_policy_says_what_was_measured_of_a_server(tmp_path):
    path = tmp_path / "policy.toml"
    with serving() as url:
        done = CliRunner().invoke(group, ["policy", "init", str(path), "--for", url])
    assert done.exit_code == 0, done.output
    assert "/completion log-probabilities: raw" in done.stderr
    policy = load_policy(path)
    assert (policy.dialect, policy.logprobs_are) == ("llama.cpp", "raw")


def test_no_policy_is_written_for_a_server_that_does_not_answer(tmp_path):
    path = tmp_path / "policy.toml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = CliRunner().invoke(group, ["policy", "init", str(path), "--for", f"http://127.0.0.1:{taken.getsockname()[1]}"])
    assert done.exit_code != 0
    assert "does not answer" in str(done.exception) + done.output
    assert not path.exists()
