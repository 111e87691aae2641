"""CRITICAL: ends the process: died with SIGSEGV

claim    process_survives
target   llama.cpp:AdaptivePAcceptedLater
stages   adaptive_p; returns tokens

usage    python a56b720ad8.py
exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded

Runs without samplerfuzz. Seen with llama-cpp-python 0.3.36.
"""

import contextlib
import faulthandler
import copy
import importlib
import inspect
import os
import signal
import subprocess
import sys
import tempfile

import numpy as np

np.set_printoptions(precision=6, suppress=True, linewidth=120, threshold=64)
X = float.fromhex
inf, nan = float("inf"), float("nan")

# The input, one entry a row, every bit as it was found.
CASE = {
    "logits": [[0.0]],
    "adaptive_target": [1.0],
    "adaptive_decay": [0.0],
    "seed": [0],
    "later logits": [[[0.0]]],
    "choices": [[0.8, 0.6]],
}
PARAMETERS = ['adaptive_target', 'adaptive_decay']
INTEGERS = []
PER_ROW = True  # an array [B] for each parameter
RETURNS = "tokens"
ROW = 0
LIMIT = 10.0
STEP = 0
TAKEN = []
REPLAY = 'clone'


def load():
    """Return the function that is tested: how samplerfuzz calls llama.cpp."""
    import copy
    import ctypes
    import os
    import numpy as np

    os.environ.setdefault("GGML_NO_BACKTRACE", "1")

    import llama_cpp

    CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])

    def chained(samplers):
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        for sampler in samplers:
            llama_cpp.llama_sampler_chain_add(chain, sampler)
        return chain

    def applied(chain, row):
        """Return the candidates that are left, and the id of the one that is selected."""
        candidates = np.zeros(len(row), CANDIDATE)
        candidates["id"], candidates["logit"] = np.arange(len(row)), row
        pointer = candidates.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        array = llama_cpp.llama_token_data_array(data=pointer, size=len(row), selected=-1, sorted=False)
        llama_cpp.llama_sampler_apply(chain, ctypes.byref(array))
        size = array.size * CANDIDATE.itemsize
        left = np.ctypeslib.as_array(ctypes.cast(array.data, ctypes.POINTER(ctypes.c_uint8)), (size,)).view(CANDIDATE).copy()
        return left, left["id"][array.selected] if 0 <= array.selected < len(left) else -1

    def told(chain, history):
        for token in history:
            llama_cpp.llama_sampler_accept(chain, int(token))

    class Stream:
        """A chain for each row, and the prompts that it was told."""

        chains = ()

        def begin(self, chains, history):
            self.chains, self.prompts = chains, history
            for chain, ids in zip(self.chains, self.prompts, strict=True):
                told(chain, ids)

        def accept(self, tokens):
            for chain, token in zip(self.chains, tokens, strict=True):
                told(chain, [token])

        def reset(self):
            for chain in self.chains:
                llama_cpp.llama_sampler_reset(chain)
            self.begin(self.chains, self.prompts)

        def clone(self):
            twin = copy.copy(self)
            twin.chains = [llama_cpp.llama_sampler_clone(chain) for chain in self.chains]
            return twin

        def filtered(self, logits):
            out = np.full(logits.shape, -np.inf, np.float32)
            for index, (chain, row) in enumerate(zip(self.chains, logits, strict=True)):
                left, _ = applied(chain, row)
                out[index, left["id"]] = left["logit"]
            return out

        def drawn(self, logits):
            return np.array([applied(chain, row)[1] for chain, row in zip(self.chains, logits, strict=True)], np.int64)

        def __del__(self):
            for chain in self.chains:
                llama_cpp.llama_sampler_free(chain)

    class AdaptiveP(Stream):
        """llama_sampler_init_adaptive_p and llama_sampler_accept, step after step"""

        def __init__(self, adaptive_target, adaptive_decay, seed):
            own = zip(adaptive_target, adaptive_decay, seed, strict=True)
            self.begin([chained([llama_cpp.llama_sampler_init_adaptive_p(t, d, int(s))]) for t, d, s in own], [[] for _ in seed])

        def step(self, logits):
            return self.drawn(logits)

    class AdaptivePAcceptedLater(AdaptiveP):
        """llama_sampler_init_adaptive_p with llama_sampler_accept right before the next step, so that a clone is made of a pending draw"""

        drawn_tokens = ()

        def accept(self, tokens):
            self.drawn_tokens = tokens

        def reset(self):
            self.drawn_tokens = ()
            super().reset()

        def step(self, logits):
            for chain, token in zip(self.chains, self.drawn_tokens, strict=False):
                told(chain, [token])
            return self.drawn(logits)

    return AdaptivePAcceptedLater



def take(case, rows):
    """Return the case of some rows."""
    return {name: [values[r] for r in rows] for name, values in case.items()}


def arguments(case):
    """Return logits [B, V] and the keyword arguments that the function accepts."""
    given = {}
    for name in PARAMETERS:
        values = np.asarray(case[name], np.float64)
        values = values.astype(np.int64) if name in INTEGERS else values
        given[name] = values if PER_ROW else values[0].item()
    rows = len(case["logits"])
    history = [np.array(ids, np.int64) for ids in case.get("history", [[]] * rows)]
    prompt = case.get("prompt_length", [0] * rows)
    seeds = np.array(case.get("seed", [0] * rows), np.int64)
    inputs = {
        "history": history,
        "prompt": [ids[:n] for ids, n in zip(history, prompt)],
        "output": [ids[n:] for ids, n in zip(history, prompt)],
        "seed": seeds if PER_ROW else int(seeds[0]),
        "u": np.array(case.get("u", [0.5] * rows), np.float64),
    }
    given.update((name, value) for name, value in inputs.items() if name in ACCEPTED)
    return np.array(case["logits"], np.float32), given


def called(case, function):
    """Call `function(logits, given)` once: ("value", array), ("raised", message) or ("malformed", message)."""
    logits, given = arguments(case)
    try:
        with np.errstate(all="ignore"):
            value = function(logits, given)
    except Exception as error:
        return "raised", f"{type(error).__name__}: {error}"
    try:
        answer = np.asarray(value)
        answer = answer if answer.dtype.kind in "iu" else answer.astype(np.float64)
    except (TypeError, ValueError):
        return "malformed", f"a {type(value).__name__}, no array"
    shape = (len(case["logits"]),) if RETURNS == "tokens" else (len(case["logits"]), len(case["logits"][0]))
    if answer.shape != shape or (RETURNS == "tokens" and answer.dtype.kind not in "iu"):
        return "malformed", f"shape {answer.shape} of {answer.dtype}; expected {shape} for {RETURNS}"
    return "value", answer


def probabilities(answer):
    """Return [B, V] probabilities; NaN for a row with NaN, +inf or a negative probability; zeros for an empty row."""
    p = np.array(answer, np.float64)
    with np.errstate(all="ignore"):
        if RETURNS == "probs":
            p[~np.isfinite(p).all(-1) | (p < 0).any(-1)] = np.nan
            return p
        poisoned = np.isnan(p).any(-1) | np.isposinf(p).any(-1)
        top = p.max(-1, keepdims=True)
        p = np.exp(p - np.where(np.isfinite(top), top, 0))
        total = p.sum(-1, keepdims=True)
        p = p / np.where(total > 0, total, 1)
    p[poisoned] = np.nan
    return p


class Stream:
    """One text under way: an instance of the class, or the function with the state it gave last."""

    def __init__(self):
        self.instance = self.state = None

    def step(self, logits, given):
        """Return the answer to the next logits."""
        if not inspect.isclass(FUNCTION):
            answer, self.state = FUNCTION(logits, **given, state=self.state)
            return answer
        if self.instance is None:
            self.instance = FUNCTION(**named(given, FUNCTION.__init__))
        return self.instance.step(logits, **named(given, FUNCTION.step))

    def accept(self, tokens):
        """Tell the tokens that were taken."""
        if hasattr(self.instance, "accept"):
            self.instance.accept(tokens.copy())

    def reset(self):
        """Begin a new text."""
        self.state = None
        if self.instance is not None:
            self.instance.reset()

    def clone(self):
        """Return a stream that goes on as this one would."""
        twin = Stream()
        twin.state = copy.deepcopy(self.state)
        twin.instance = None if self.instance is None else self.instance.clone()
        return twin


def named(given, function):
    """Return what a function takes of what there is."""
    return {} if function is object.__init__ else {n: v for n, v in given.items() if n in inspect.signature(function).parameters}


def steps_of(case):
    """Return how many steps a case has."""
    return len(case["choices"][0]) if "choices" in case else 1


def step_of(case, index, tokens):
    """Return a step as a case: its logits and uniforms, and the tokens taken before it in the history."""
    at = {name: values for name, values in case.items() if not name.startswith("later") and name != "choices"}
    if index:
        rows = range(len(case["logits"]))
        at["logits"] = [case["later logits"][row][index - 1] for row in rows]
        before = case.get("history", [[]] * len(case["logits"]))
        at["history"] = [list(before[row]) + [int(taken[row]) for taken in tokens] for row in rows]
        at.setdefault("prompt_length", [0] * len(case["logits"]))
        if "later u" in case:
            at["u"] = [case["later u"][row][index - 1] for row in rows]
    return at


def taken_from(answer, case, index):
    """Return the tokens taken: those drawn, or those at the place `choices` of the running sums of the probabilities."""
    if RETURNS == "tokens":
        return np.where((answer >= 0) & (answer < len(case["logits"][0])), answer, -1)
    tokens = []
    for p, choices in zip(probabilities(answer), case["choices"]):
        total = np.cumsum(p)
        whole = np.isfinite(total[-1]) and total[-1] > 0
        tokens.append(min(int(np.searchsorted(total, choices[index] * total[-1], side="right")), int(np.flatnonzero(p > 0)[-1])) if whole else -1)
    return np.array(tokens)


def advance(stream, case, answers, tokens, until):
    """Play on until `until` steps are done or one is not answered."""
    while len(answers) < until and (not answers or (answers[-1][0] == "value" and (tokens[-1] >= 0).all())):
        at = step_of(case, len(answers), tokens)
        kind, answer = called(at, stream.step)
        answers.append((kind, answer))
        tokens.append(taken_from(answer, case, len(tokens)) if kind == "value" else np.array([-1]))
        if (tokens[-1] >= 0).all():
            try:
                stream.accept(tokens[-1])
            except Exception as error:
                answers[-1] = "raised", f"{type(error).__name__}: {error}"


def play(case, replay=""):
    """Return (kind, answer) of every step and the tokens taken after each; those of a replay come last."""
    stream, answers, tokens, count = Stream(), [], [], steps_of(case)
    fork = max(1, count // 2)
    try:
        if replay == "clone":
            advance(stream, case, answers, tokens, fork)
            twin, others, taken = stream.clone(), list(answers), list(tokens)
            advance(twin, case, others, taken, count)
            advance(stream, case, answers, tokens, count)
            return answers + others[fork:], tokens + taken[fork:]
        advance(stream, case, answers, tokens, count)
        others, taken = [], []
        if replay == "reset":
            stream.reset()
            advance(stream, case, others, taken, count)
        return answers + others, tokens + taken
    except Exception as error:
        return [*answers, ("raised", f"{type(error).__name__}: {error}")], [*tokens, np.array([-1])]


def call(case):
    """Return (kind, answer) of the step that the defect was seen in, or of the only one."""
    if "choices" not in case:
        return called(case, Stream().step)
    answers, tokens = play(case, REPLAY)
    begin = steps_of(case) if REPLAY == "reset" and STEP >= steps_of(case) else 0
    if len(answers) <= STEP:
        return answers[-1][0] if answers[-1][0] != "value" else "ended", answers[-1][1]
    if [int(t[ROW]) for t in tokens[begin:STEP]] != TAKEN:
        return "other", f"other tokens were taken than {TAKEN}, when it was found"
    return answers[STEP]



CALLED, ANSWERED = "REPRODUCER_CALLS", "the process lives on"


def defect():
    """Does the call end, and does its process outlive it? This program runs itself again to see that from outside."""
    if CALLED in os.environ:
        answer_and_leave()
    print(f"expected  an answer or an exception within {LIMIT:g} s, and a process that lives on", flush=True)
    with tempfile.TemporaryFile() as said:
        environment = {**os.environ, CALLED: "1"}
        process = subprocess.Popen([sys.executable, *sys.argv], env=environment, stdout=said, stderr=said, start_new_session=True)
        try:
            status = process.wait(LIMIT + 600)  # it ends itself LIMIT seconds after it has loaded the target
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(max(0, said.seek(0, os.SEEK_END) - 10_000))
        lines = said.read().decode("utf-8", "replace").splitlines()
    if status == 0 and ANSWERED in lines:
        print(f"got       {lines[lines.index(ANSWERED) - 1]}")
        return False
    if status is None or any(line.startswith("Timeout (") for line in lines):
        print("got       no answer; it is here:")
    elif status < 0:
        print(f"got       a process that died with {signal.Signals(-status).name}; it said:")
    else:
        print(f"got       a process that exited with status {status}; it said:")
    print("\n".join(f"          {line}" for line in lines[-40:]))
    return True


def answer_and_leave():
    """Call the target and leave with status 0; a process that does not get here does not print ANSWERED."""
    faulthandler.enable()
    for _ in range(1 if ACCEPTED & {"seed", "u"} or RETURNS != "tokens" else 20):
        faulthandler.dump_traceback_later(LIMIT, exit=True)  # from a thread of its own, even when native code keeps the interpreter
        kind, answer = call(CASE)
    text = " ".join(f"{kind}: {answer}".split())
    print(f"\n{text[:300]}\n{ANSWERED}", flush=True)
    os._exit(0)



if __name__ == "__main__":
    try:
        FUNCTION = load()
        ACCEPTED = set(inspect.signature(FUNCTION).parameters)
        ACCEPTED |= set(inspect.signature(FUNCTION.step).parameters) if inspect.isclass(FUNCTION) else set()
    except BaseException as error:
        print(f"cannot load the target: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    reproduces = defect()
    print("the defect REPRODUCES" if reproduces else "the defect does not reproduce")
    sys.stdout.flush()
    os._exit(1 if reproduces else 0)
