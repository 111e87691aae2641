"""What a guard writes down and shows: decisions and numbers, no word of a prompt or an answer."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from guarding import guarding
from prometheus_client.parser import text_string_to_metric_families

from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety.proxy import dashboard
from samplerfuzz.safety.proxy.audit import AuditLog
from samplerfuzz.safety.proxy.endpoints import GUARDED, LET_BY
from samplerfuzz.safety.proxy.metrics import MEANINGS, exported

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-word-that-only-the-prompt-holds"


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_audit_log_has_a_line_a_decision_and_no_word_of_the_client(stub, tmp_path):
    with guarding(stub.url, audit=tmp_path / "audit.jsonl") as guard:
        guard.post("/v1/completions", {"prompt": SECRET, "temperature": 0.5})
        guard.post("/v1/completions", {"prompt": SECRET, "temperature": 3})
        guard.post("/v1/completions", {"prompt": SECRET, "temperature": SECRET})
        guard.post("/v1/completions", {"prompt": SECRET, SECRET: SECRET, "metadata": {"x": SECRET}, "user": SECRET})
        guard.post("/v1/completions", b'{"prompt": "' + SECRET.encode())
        guard.settle()
        found = lines(tmp_path / "audit.jsonl")
        assert [line["action"] for line in found] == ["accept", "reject", "reject", "flag", "reject"]
        assert [line["status"] for line in found] == [200, 400, 400, 200, 400]
        assert found[1]["results"][0]["parameter"] == "temperature"
        assert found[1]["results"][0]["evidence"]["value"] == 3
        assert found[4]["reason"] == "malformed:invalid_json"
        assert SECRET not in (tmp_path / "audit.jsonl").read_text("utf-8")
        assert SECRET not in guard.get("/-/state.json").text + guard.get("/metrics").text + guard.get("/").text


def test_the_audit_log_begins_a_new_file_at_its_size_and_keeps_some(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", largest=1000, kept=2, lost=lambda: pytest.fail("a line was lost"))
    for number in range(100):
        log.write({"number": number, "text": "100 %s"})
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    assert lines(tmp_path / "audit.jsonl")[-1]["number"] == 99
    assert lines(tmp_path / "audit.jsonl")[-1]["text"] == "100 %s"


def test_a_full_disk_does_not_stop_the_serving(stub):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with guarding(stub.url, audit=Path("/dev/full"), audit_bytes=2**40) as guard:
        for _ in range(3):
            assert guard.post("/v1/completions", {"prompt": "x"}).status_code == 200
        guard.settle()
        assert guard.total("audit_lost") == 3


def test_an_audit_log_that_cannot_be_opened_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError):
        AuditLog(tmp_path / "none" / "audit.jsonl", largest=1000, kept=1, lost=lambda: None)


def test_metrics_are_what_prometheus_reads_and_each_has_its_name(stub):
    with guarding(stub.url, metrics_path="/numbers") as guard:
        guard.post("/v1/completions", {"prompt": "x", "temperature": 0.5})
        guard.post("/v1/completions", {"prompt": "x", "temperature": 5, "top_p": 2})
        guard.post("/v1/completions", b"{")
        guard.settle()
        text = guard.get("/numbers").text
        assert guard.get("/-/metrics").status_code == 200
        assert guard.get("/metrics").status_code == 404
    families = {family.name: family for family in text_string_to_metric_families(text) if not family.name.endswith("_created")}
    assert {f"samplerfuzz_guard_{name}" for name in MEANINGS} == set(families)
    assert all(family.documentation for family in families.values())
    assert guard.total("temperature_requests") == 2
    assert guard.total("temperature_anomalies") == 1
    assert guard.total("rejects", parameter="temperature") == 1
    assert guard.total("rejects", parameter="top_p") == 1
    assert guard.total("rejects", reason="invalid_json") == 1
    assert guard.total("requests", action="reject") == 2


def test_every_metric_and_guarded_path_is_documented():
    document = (ROOT / "GUARD.md").read_text("utf-8")
    for name, meaning in MEANINGS.items():
        wire = exported(name)[0].removesuffix("_bucket")
        labels = ", ".join(f"`{label}`" for label in meaning.labels) or "–"
        assert f"| `{wire}` | {meaning.kind.__name__.lower()} | {labels} | {meaning.help} |" in document
    for path in (*GUARDED, *(rule.partition(" ")[2] for rule in LET_BY)):
        assert f"`{path}`" in document or f" {path}`" in document


def test_a_guard_without_a_registry_loads_neither_jax_nor_scipy():
    program = (
        "import sys; import samplerfuzz.safety.proxy.serving; from samplerfuzz.safety.policy import Policy\n"
        "from samplerfuzz.safety.proxy.assembly import assembled; from samplerfuzz.safety.proxy.settings import Settings, upstream\n"
        "assembled(Settings(upstream=upstream('http://a')), Policy())\n"
        "sys.exit(str([name for name in ('jax', 'scipy', 'torch') if name in sys.modules] or ''))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert not done.stderr.strip(), done.stderr


def test_a_client_makes_up_no_labels(stub):
    with guarding(stub.url) as guard:
        for number in range(20):
            guard.post("/v1/completions", {"prompt": "x", f"field{number}": 1})
            guard.post(f"/v1/made-up-{number}", {"prompt": "x"})
        assert "field1" not in guard.get("/metrics").text
        assert "made-up" not in guard.get("/metrics").text


def test_the_dashboard_is_what_the_code_writes_and_names_only_metrics_that_are_there():
    committed = (ROOT / "reports" / "grafana-samplerfuzz-guard.json").read_text("utf-8")
    assert committed == dashboard.text(), "run python -m samplerfuzz.safety.proxy.dashboard reports/grafana-samplerfuzz-guard.json"
    there = {name for meaning in MEANINGS for name in exported(meaning)}
    import re

    queries = [target["expr"] for panel in json.loads(committed)["panels"] for target in panel["targets"]]
    named = {name for query in queries for name in re.findall(r"samplerfuzz_guard_\w+", query)}
    assert named <= there
    assert len(named) > 20


def test_the_page_is_one_file_that_runs_only_its_own_script(guard):
    answer = guard.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert answer.text.count(f'nonce="{nonce}"') == 2
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert guard.get("/").headers["content-security-policy"] != policy


def test_health_and_readiness_are_told(guard):
    assert guard.get("/-/healthz").json() == {"status": "ok"}
    assert guard.get("/-/readyz").json()["status"] == "ready"
    assert guard.get("/-/nothing").status_code == 404
    assert guard.post("/-/healthz", {}).status_code == 405


@pytest.fixture
def command(stub, tmp_path):
    """The command in a process of its own."""

    def start(*options):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"}
        words = [sys.executable, "-m", "samplerfuzz", "guard", "--upstream", stub.url, "--listen", "127.0.0.1:0", *options]
        process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
        started.append(process)
        first = process.stderr.readline()
        assert process.stderr.readline() == "ready\n", first
        return process, first.split(" at ")[1].split(";")[0], first.split("live page ")[1].strip()

    started = []
    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def test_the_command_serves_and_lets_what_is_under_way_end(command):
    process, url, admin = command("--admin", "127.0.0.1:0", "--drain", "20")
    assert admin != url
    with httpx.Client(trust_env=False, timeout=20) as client:
        assert client.get(admin + "-/readyz").status_code == 200
        assert client.get(admin + "v1/models").status_code == 404
        assert client.get(url + "metrics").status_code == 404
        assert client.get(url + "v1/models").status_code == 200
        headers = {"x-stub": "drips"}
        got = []

        def ask():
            got.append(
                httpx.post(url + "v1/chat/completions", json={"messages": [], "stream": True}, headers=headers, trust_env=False).content
            )

        with client.stream("POST", url + "v1/chat/completions", json={"messages": [], "stream": True}, headers=headers) as answer:
            pieces = answer.iter_raw()
            first = next(pieces)
            process.send_signal(signal.SIGTERM)
            body = first + b"".join(pieces)
        assert body.endswith(b"data: [DONE]\n\n")
    assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--upstream is missing"),
        (["--upstream", "nowhere"], "expected http://"),
        (["--upstream", "http://a", "--listen", "8080"], "expected HOST:PORT"),
        (["--upstream", "http://a", "--policy", "missing.toml"], "missing.toml"),
        (["--upstream", "http://a", "--registry", "missing.json"], "missing.json"),
        (["--upstream", "http://a", "--allow", "POST /v1/completions"], "cannot be let by"),
        (["--upstream", "http://a", "--metrics-path", "metrics"], "begins with a slash"),
    ],
)
def test_what_cannot_be_guarded_is_a_usage_error(options, said, capsys):
    from samplerfuzz.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main(["guard", *options])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch, capsys):
    from samplerfuzz.cli import guard as verb
    from samplerfuzz.cli.main import main

    monkeypatch.setattr(verb, "NEEDED", {"no_such_module": "no-such-package"})
    with pytest.raises(SystemExit) as ended:
        main(["guard", "--upstream", "http://a"])
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert "no-such-package" in shown
    assert "pip install 'samplerfuzz[guard]'" in shown


@pytest.mark.slow
def test_a_thousand_mixed_requests_leave_no_memory_behind(stub):
    body = {"prompt": "x" * 2000, "temperature": 0.5}
    kinds = [
        (body, ""),
        ({**body, "stream": True}, ""),
        ({**body, "temperature": 9}, ""),
        (b"{" * 2000, ""),
        ({**body, "stream": True}, "dies"),
        (body, "fails"),
        (body, "closes"),
        (body, "loops"),
        ({**body, "unknown": 1}, "no-json"),
    ]

    def round_of(count):
        with httpx.Client(trust_env=False, timeout=30) as client:
            for number in range(count):
                data, what = kinds[number % len(kinds)]
                content = {"content": data} if isinstance(data, bytes) else {"json": data}
                try:
                    client.post(guard.url + "/v1/completions", headers={"content-type": "application/json", "x-stub": what}, **content)
                except httpx.RemoteProtocolError:
                    assert what == "dies"
        del stub.asked[:]
        guard.settle()
        gc.collect()

    import gc
    import tracemalloc

    with guarding(stub.url) as guard:
        round_of(100)  # pools and caches are filled
        tracemalloc.start()
        try:
            round_of(200)
            early = tracemalloc.get_traced_memory()[0]
            round_of(700)
            late = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert threading.active_count() < 200
    assert late - early < 700 * 500  # bytes: a request that left as much as its body behind would leave four times that
