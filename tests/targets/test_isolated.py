"""Whatever a function does to its process is an outcome; the next call finds a new one; nothing of it is left behind."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from samplerfuzz.cases import Case
from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets import isolated, worker_process
from samplerfuzz.targets.isolated import load_target

FINE, BAD = 2.0, 1.0
# a function does what the test says where top_k is 1, and says which process it runs in everywhere else
FILE = """\
import ctypes, os, signal, subprocess, sys, threading, time
import numpy as np
import samplerfuzz as sf

libc = ctypes.PyDLL(None)  # a call of a PyDLL keeps the interpreter

@sf.target(order=["top_k"], returns="tokens")
def mine(logits, top_k):
    if top_k == 1:
        {body}
    return np.full(len(logits), os.getpid())
"""
DEAF = "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"


def case(top_k, rows=1):
    return Case(logits=np.zeros((rows, 3), np.float32), parameters={"top_k": np.full(rows, top_k)})


@pytest.fixture
def load(tmp_path):
    """Load FILE with a body; what was loaded is closed."""
    loaded = []

    def load(body, *, top="", **options):
        file = tmp_path / "mine.py"
        file.write_text(top + FILE.format(body=body))
        loaded.append(load_target(f"{file}:mine", **options))
        return loaded[-1]

    yield load
    for target in loaded:
        target.close()


def process_of(target):
    return int(target.run(case(FINE)).value[0])


def wait_until_gone(pids):
    for _ in range(400):
        left = [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]
        if not left:
            return
        time.sleep(0.05)
    raise AssertionError(f"still there: {[psutil.Process(p).cmdline() for p in left]}")


ENDS = {
    "ctypes.string_at(0)": r"died with SIGSEGV in string_at \(__init__.py:\d+\), called by mine \(mine.py:10\)",
    "os.abort()": r"died with SIGABRT in mine \(mine.py:10\)",
    "os.write(2, b'GGML_ASSERT(n > 0) failed\\n'); os.abort()": r"SIGABRT in mine \(mine.py:10\); it wrote last: GGML_ASSERT\(n > 0\) failed",
    "print('Bye.'); os._exit(3)": "exited with status 3; it wrote last: Bye.",
    "os._exit(0)": "exited with status 0",
    "os.kill(os.getpid(), signal.SIGKILL)": "died with SIGKILL",
}
RAISES = {
    "sys.exit(4)": "SystemExit: 4",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise type('PanicException', (BaseException,), {})('index out of bounds')": "PanicException: index out of bounds",
}


@pytest.mark.parametrize("body", ENDS)
def test_the_end_of_the_process_is_a_crash_and_the_next_call_finds_another(load, body):
    target = load(body)
    before = process_of(target)
    outcome = target.run(case(BAD))
    assert outcome.kind == "crash"
    assert re.search(ENDS[body], outcome.message), outcome.message
    wait_until_gone([before])
    assert process_of(target) not in (before, os.getpid())


@pytest.mark.parametrize("body", RAISES)
def test_what_no_except_exception_stops_is_a_crash_and_no_refusal(load, body):
    target = load(body)
    before = process_of(target)
    outcome = target.run(case(BAD))
    assert (outcome.kind, outcome.message) == ("crash", f"raised what no `except Exception` stops: {outcome.message.partition(': ')[2]}")
    assert RAISES[body] in outcome.message
    assert process_of(target) == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('top_k')", "ValueError: top_k"),
        ("raise MemoryError", "MemoryError: "),
        ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})", "Odd: (its message cannot be read)"),
        (
            "return type('Lazy', (), {'__array__': lambda self, dtype=None, copy=None: 1 / 0})()",
            "ZeroDivisionError: division by zero",
        ),
    ],
)
def test_an_ordinary_exception_is_a_refusal(load, body, message):
    outcome = load(body).run(case(BAD))
    assert (outcome.kind, outcome.message) == ("raised", message)


def test_a_hang_in_python_costs_no_process(load):
    target = load("while True: pass", time_limit=0.2)
    before = process_of(target)
    outcome = target.run(case(BAD))
    assert (outcome.kind, outcome.message) == ("hang", "no answer within 0.2 s")
    assert process_of(target) == before


@pytest.mark.parametrize(
    "body",
    [
        f"{DEAF}; libc.sleep(600)",
        f"{DEAF}\n        while True: time.sleep(1)",
        "while True:\n            try: time.sleep(600)\n            except: pass",
    ],
    ids=["keeps the interpreter", "hears no signal", "swallows the alarm"],
)
def test_a_hang_that_heeds_no_alarm_costs_its_process(load, monkeypatch, body):
    monkeypatch.setattr(isolated, "_GRACE_S", 0.3)
    target = load(body, time_limit=0.2)
    before = process_of(target)
    outcome = target.run(case(BAD))
    assert outcome.kind == "hang"
    assert "within 0.2 s; it heeded no alarm and was killed" in outcome.message
    wait_until_gone([before])
    assert process_of(target) != before


@pytest.mark.parametrize(
    ("top", "words"),
    [
        ("import ctypes; ctypes.string_at(0)\n", r"died with SIGSEGV in string_at .*, called by <module> \(mine.py:1\) while importing"),
        ("import os; os._exit(0)\n", "exited with status 0 while importing"),
        ("import sys; sys.exit('no GPU')\n", "does not import: SystemExit: no GPU"),
        ("raise KeyboardInterrupt\n", "does not import: KeyboardInterrupt"),
        ("import time; time.sleep(600)\n", "gives no answer within 1.5 s while importing"),
    ],
)
def test_a_file_that_dies_or_hangs_while_importing_is_a_usage_error(load, top, words):
    here = psutil.Process()
    before = here.children()
    with pytest.raises(UsageError, match=words):
        load("pass", top=top, load_limit=1.5 if "sleep" in top else 60.0)
    assert here.children() == before


def test_megabytes_of_output_block_nothing_and_are_no_answer(load):
    body = "sys.stdout.write('x' * 3_000_000); os.write(1, b'sfz1' * 500_000); sys.stderr.write('y\\n' * 1_000_000)"
    target = load(body)
    before = process_of(target)
    for rows in (1, 2, 50):
        assert target.run(case(BAD, rows)).value.tolist() == [before] * rows


def test_a_large_case_and_chatter_at_once_block_nothing(load):
    target = load(
        "pass", top="import os, threading, time\nthreading.Thread(target=lambda: [os.write(2, b'z' * 99999) for _ in range(200)]).start()\n"
    )
    wide = Case(logits=np.zeros((2, 500_000), np.float32), parameters={"top_k": np.full(2, FINE)})
    assert target.run(wide).value.tolist() == [process_of(target)] * 2


@pytest.mark.parametrize("has_memory_files", [True, False])
def test_arrays_of_any_size_come_back_as_they_were_sent(tmp_path, monkeypatch, has_memory_files):
    if not has_memory_files:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    file = tmp_path / "mine.py"
    file.write_text("def same(logits):\n    return logits\n")
    before = psutil.Process().num_fds()
    target = load_target(f"{file}:same", declaration={"order": [], "returns": "logits"})
    rng = np.random.default_rng(0)
    for shape in ((1, 3), (3, 40_000), (2, 400_000), (1, 5), (1, 100_000)):
        logits = rng.normal(size=shape).astype(np.float32)
        np.testing.assert_array_equal(target.run(Case(logits=logits)).value, logits)
    target.close()
    assert psutil.Process().num_fds() <= before


def test_what_a_call_reads_is_empty(load):
    assert load("return np.array([len(sys.stdin.read())])").run(case(BAD)).value.tolist() == [0]


def test_leaked_threads_and_children_end_with_the_target(load, tmp_path):
    leak = (
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "        kinds = ({}, {'start_new_session': True})\n"
        "        return np.array([subprocess.Popen(['sleep', '600'], **kind).pid for kind in kinds])"
    )
    target = load(leak)
    pids = [process_of(target), *target.run(case(BAD, rows=2)).value.tolist()]
    target.close()
    wait_until_gone(pids)


@pytest.mark.parametrize("fork", ["os.fork()", "libc.fork()"])
def test_a_crash_shows_at_once_although_a_child_holds_the_pipes(load, fork):
    target = load(f"child = {fork} or time.sleep(600)\n        os._exit(3)", time_limit=60.0)
    assert target.run(case(BAD)).message == "exited with status 3"


def test_a_child_that_returns_in_place_of_its_parent_answers_nothing(load):
    target = load("os.fork()")
    before = process_of(target)
    for rows in (1, 2, 3, 4):
        assert target.run(case(BAD, rows)).value.tolist() == [before] * rows


def test_memory_without_end_is_a_crash(load, monkeypatch):
    monkeypatch.setattr(worker_process.psutil, "virtual_memory", lambda: SimpleNamespace(total=4e8))
    target = load("kept = []\n        while len(kept) < 60: kept.append(np.ones(4_000_000)); time.sleep(0.02)")
    before = process_of(target)
    outcome = target.run(case(BAD))
    assert outcome.kind == "crash"
    assert "GB of memory and was killed" in outcome.message
    assert process_of(target) != before


def test_an_interrupted_call_leaves_no_answer_for_the_next_one(load):
    target = load("time.sleep(600)", time_limit=60.0)
    before = process_of(target)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        target.run(case(BAD))
    wait_until_gone([before])
    assert process_of(target) != before


def test_a_file_that_changes_is_not_taken_for_the_same_target(load, tmp_path):
    target = load("os.abort()")
    file = tmp_path / "mine.py"
    assert target.run(case(BAD)).kind == "crash"
    file.write_text(file.read_text().replace('order=["top_k"]', 'order=["top_k"], per_row=True'))
    with pytest.raises(UsageError, match="was changed while it was fuzzed"):
        target.run(case(FINE))
    file.write_text("import nothing_like_it")
    with pytest.raises(UsageError, match="nothing_like_it"):
        target.run(case(FINE))


def test_a_function_that_crashes_when_it_is_first_asked_is_a_target_all_the_same(tmp_path):
    (tmp_path / "plain.py").write_text("import os\ndef mine(logits, top_k): os.abort()\n")
    target = load_target(f"{tmp_path / 'plain.py'}:mine")
    assert target.spec.returns is None
    assert target.run(case(FINE)).kind == "crash"


def test_the_form_that_was_learnt_outlives_the_process(tmp_path):
    source = "import os\nimport numpy as np\ndef mine(logits, top_k):\n    if top_k == 1: os.abort()\n    return logits.argmax(-1) if top_k < 9 else logits\n"
    (tmp_path / "plain.py").write_text(source)
    target = load_target(f"{tmp_path / 'plain.py'}:mine")
    assert target.spec.returns == "tokens"
    assert target.run(case(BAD)).kind == "crash"
    assert target.run(case(9.0)).kind == "malformed"


def test_closing_lets_the_file_say_goodbye(load, tmp_path):
    target = load("pass", top=f"import atexit\natexit.register(lambda: open({str(tmp_path / 'bye')!r}, 'w').close())\n")
    target.close()
    assert (tmp_path / "bye").exists()
    assert process_of(target) != os.getpid()


def test_a_bug_of_ours_in_the_worker_is_no_outcome(load, monkeypatch):
    monkeypatch.setattr(isolated, "case_arrays", lambda case: {})
    with pytest.raises(RuntimeError, match="KeyError: 'logits'"):
        load("pass").run(case(FINE))


def test_neighbours_and_the_working_directory_are_found(tmp_path, monkeypatch):
    (tmp_path / "neighbour.py").write_text("def mine(logits, top_k): return logits\n")
    (tmp_path / "beside.py").write_text("from neighbour import mine\n")
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "__init__.py").touch()
    (tmp_path / "box" / "inner.py").write_text("from . import other\nmine = other.mine\n")
    (tmp_path / "box" / "other.py").write_text("import neighbour\nmine = neighbour.mine\n")
    assert load_target(f"{tmp_path / 'beside.py'}:mine").spec.returns == "logits"
    monkeypatch.chdir(tmp_path)
    assert load_target("box.inner:mine").spec.returns == "logits"


PARENT = """\
import sys
import numpy as np
from samplerfuzz.cases import Case
from samplerfuzz.targets.isolated import load_target
target = load_target(sys.argv[1], time_limit=600.0)
case = lambda top_k: Case(logits=np.zeros((1, 3), np.float32), parameters={"top_k": np.full(1, top_k)})
print(target.run(case(2.0)).value[0], flush=True)
if sys.argv[2] == "busy":
    target.run(case(1.0))
sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
@pytest.mark.parametrize(
    "body", ["idle", f"{DEAF}; subprocess.Popen(['sleep', '600']); os.write(2, b'.'); libc.sleep(600)"], ids=["idle", "hanging"]
)
def test_no_process_outlives_its_parent(load, tmp_path, body, how):
    target = load("pass" if body == "idle" else body)
    target.close()
    arguments = [sys.executable, "-c", PARENT, target.spec.locator, "idle" if body == "idle" else "busy"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment) as parent:
        worker = int(parent.stdout.readline())
        if body != "idle":
            while len(psutil.Process(worker).children()) < 1:
                time.sleep(0.02)
        pids = [child.pid for child in psutil.Process(parent.pid).children(recursive=True)]
        assert worker in pids
        parent.send_signal(how)
        parent.wait(30)
    wait_until_gone(pids)
