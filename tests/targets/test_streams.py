"""A stateful target is begun, stepped, told, reset and cloned as the contract says."""

from contextlib import closing
from typing import ClassVar

import numpy as np
import pytest

from samplerfuzz.cases import Case
from samplerfuzz.cases.steps import Steps
from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.isolated import load_target
from samplerfuzz.targets.plain import PlainTarget, target


def case(count=4, *, replay="", rows=1, u=None, history=None, **parameters):
    """A case of `count` steps; step i has logits that favour token i % 3, and the token taken is the first with probability."""
    every = np.stack([np.repeat(np.eye(3, dtype=np.float32)[[i % 3]], rows, 0) for i in range(count)])
    steps = Steps(
        logits=every[1:],
        choices=np.zeros((count, rows)),
        u=None if u is None else np.repeat(np.array(u[1:])[:, None], rows, 1),
        replay=replay,
    )
    return Case(
        logits=every[0],
        parameters={name: np.full(rows, value) for name, value in parameters.items()},
        u=None if u is None else np.full(rows, u[0]),
        history=history,
        steps=steps,
    )


def play(what, of):
    return PlainTarget(what, locator="x:y").run(of)


class Recorder:
    """Draws the favoured token and writes down what it is told."""

    seen: ClassVar[list] = []

    def __init__(self, temperature):
        self.events = [("made", temperature)]
        Recorder.seen = self.events

    def step(self, logits):
        self.events.append(("step", int(logits[0].argmax())))
        return logits.argmax(-1)

    def accept(self, tokens):
        self.events.append(("accept", tokens.tolist()))

    def reset(self):
        self.events.append(("reset",))


declared = target(order=["temperature"], returns="tokens")


def test_a_class_is_made_once_and_told_every_token():
    outcome = play(declared(Recorder), case(3, temperature=0.5))
    assert Recorder.seen == [("made", 0.5), ("step", 0), ("accept", [0]), ("step", 1), ("accept", [1]), ("step", 2), ("accept", [2])]
    assert (outcome.kind, [step.value.tolist() for step in outcome.steps]) == ("value", [[0], [1], [2]])


def test_reset_begins_the_same_steps_again():
    outcome = play(declared(Recorder), case(2, replay="reset", temperature=0.5))
    assert [event[0] for event in Recorder.seen] == ["made", *["step", "accept"] * 2, "reset", *["step", "accept"] * 2]
    assert [tokens.tolist() for tokens in outcome.tokens] == [[0], [1], [0], [1]]


def test_the_clone_goes_first_and_then_the_original():
    class Counted:
        def __init__(self):
            self.count = 0

        def step(self, logits):
            self.count += 1
            return np.full((1, 3), float(self.count))

        def clone(self):
            twin = Counted()
            twin.count = self.count + 100
            return twin

    outcome = play(target(order=[], returns="logits")(Counted), case(5, replay="clone"))
    # cloned before step 2: the steps of the original, then those of its clone
    assert [step.value[0, 0] for step in outcome.steps] == [1, 2, 3, 4, 5, 103, 104, 105]


def test_a_function_is_given_its_state_back_and_none_at_first():
    states = []

    @target(order=["temperature"], returns="logits")
    def mine(logits, temperature, state):
        states.append(state)
        return logits, [len(states)]

    play(mine, case(3, replay="reset", temperature=1.0))
    assert states == [None, [1], [2], None, [4], [5]]


def test_the_clone_of_a_function_has_a_copy_of_its_state():
    @target(order=["temperature"], returns="logits")
    def mine(logits, temperature, state):
        state = [] if state is None else state
        state.append(1)
        return logits * 0 + len(state), state

    outcome = play(mine, case(4, replay="clone", temperature=1.0))
    assert [step.value[0, 0] for step in outcome.steps] == [1, 2, 3, 4, 3, 4]


def test_history_grows_by_the_tokens_taken_and_the_prompt_does_not():
    seen = []

    @target(order=["temperature"], returns="tokens")
    def mine(logits, temperature, history, prompt, output, u, state):
        seen.append((history[0].tolist(), prompt[0].tolist(), output[0].tolist(), u.tolist()))
        return logits.argmax(-1), 0

    of = case(3, temperature=1.0, u=[0.1, 0.2, 0.3], history=(np.array([2, 2]),)).with_(prompt_length=np.array([2]))
    play(mine, of)
    assert seen == [([2, 2], [2, 2], [], [0.1]), ([2, 2, 0], [2, 2], [0], [0.2]), ([2, 2, 0, 1], [2, 2], [0, 1], [0.3])]


def test_of_a_distribution_the_token_at_the_place_chosen_is_taken():
    taken = []

    class Even:
        def step(self, logits):
            return np.array([[0.5, 0.0, 0.5]])

        def accept(self, tokens):
            taken.append(int(tokens[0]))

    of = case(4)
    of = of.with_(steps=Steps(logits=of.steps.logits, choices=np.array([[0.0], [0.499], [0.5], [0.999]])))
    play(target(order=[], returns="probs")(Even), of)
    assert taken == [0, 0, 2, 2]


def failing(method):
    def fail(self, *arguments):
        raise RuntimeError(f"{method} failed")

    members = {
        "step": lambda self, logits: logits.argmax(-1),
        "accept": lambda self, tokens: None,
        "reset": lambda self: None,
        "clone": lambda self: self,
    }
    return target(order=[], returns="tokens")(type("Failing", (), {**members, method: fail}))


@pytest.mark.parametrize(
    ("method", "replay", "answered"),
    [("__init__", "", 0), ("step", "", 0), ("accept", "", 0), ("reset", "reset", 4), ("clone", "clone", 2)],
)
def test_what_fails_is_the_outcome_of_the_step_it_fails_at(method, replay, answered):
    outcome = play(failing(method), case(4, replay=replay))
    within = "" if method in ("__init__", "step") else f"{method}: "
    assert (outcome.kind, outcome.message) == ("raised", f"{within}RuntimeError: {method} failed")
    assert [step.kind for step in outcome.steps] == ["value"] * answered + ["raised"]


def test_a_token_outside_the_vocabulary_ends_the_stream():
    class Beyond:
        def step(self, logits):
            return np.array([3])

        def accept(self, tokens):
            raise AssertionError("told of a token that does not exist")

    outcome = play(target(order=[], returns="tokens")(Beyond), case(4))
    assert [step.value.tolist() for step in outcome.steps] == [[3]]
    assert outcome.tokens[0].tolist() == [-1]


def test_a_function_of_state_that_gives_no_pair_is_told_so():
    outcome = play(target(order=["temperature"])(lambda logits, temperature, state: logits), case(2, temperature=1.0))
    assert "returns (result, new state), not ndarray" in outcome.message


def test_a_case_of_one_step_is_the_first_step_of_a_new_stream():
    class Once:
        def __init__(self, temperature):
            self.count = 0

        def step(self, logits):
            self.count += 1
            return np.full((1, 3), float(self.count))

    what = PlainTarget(target(order=["temperature"], returns="logits")(Once), locator="x:y")
    single = case(1, temperature=1.0).with_(steps=None)
    assert [what.run(single).value[0, 0] for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("class mine:\n    def __init__(self, top_k): pass", "a stateful target has that method"),
        ("class mine:\n    def step(self): pass", "the first must be logits"),
        ("class mine:\n    def step(self, logits, top_k, state): pass", "a class keeps its own state"),
        ("class mine:\n    def __init__(self, wizardry): pass\n    def step(self, logits): pass", "unknown required argument 'wizardry'"),
    ],
)
def test_a_class_that_cannot_be_stepped_is_explained(tmp_path, source, words):
    file = tmp_path / "mine.py"
    file.write_text(source + "\n")
    with pytest.raises(UsageError, match=words):
        load_target(f"{file}:mine")


MINE = """\
import copy
import numpy as np
import samplerfuzz as sf

@sf.target(order=["temperature"], returns="logits")
class mine:
    def __init__(self, temperature):
        self.count = 0
    def step(self, logits):
        self.count += 1
        return logits + self.count
    def reset(self):
        self.count = 10
    def clone(self):
        return copy.deepcopy(self)
"""


@pytest.mark.parametrize("replay", ["", "reset", "clone"])
def test_a_class_in_another_process_answers_as_here(tmp_path, replay):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    names = {}
    exec(MINE, names)
    of = case(4, replay=replay, rows=2, temperature=1.0)
    here = play(names["mine"], of)
    with closing(load_target(f"{file}:mine")) as loaded:
        assert (loaded.spec.stateful, loaded.spec.resets, loaded.spec.clones) == (True, True, True)
        there = loaded.run(of)
    assert [step.value.tolist() for step in there.steps] == [step.value.tolist() for step in here.steps]
    assert [tokens.tolist() for tokens in there.tokens] == [tokens.tolist() for tokens in here.tokens]


def test_the_time_limit_is_for_a_step(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE.replace("self.count += 1", "self.count += 1; import time; time.sleep(0.2)"))
    with closing(load_target(f"{file}:mine", time_limit=0.5)) as loaded:
        assert loaded.run(case(8, temperature=1.0)).kind == "value"
        (tmp_path / "slow.py").write_text(MINE.replace("self.count += 1", "self.count += 1\n        while self.count > 2: pass"))
    with closing(load_target(f"{tmp_path}/slow.py:mine", time_limit=0.2)) as loaded:
        outcome = loaded.run(case(8, temperature=1.0))
        assert [step.kind for step in outcome.steps] == ["value", "value", "hang"]


DEAF = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"


def test_a_step_that_heeds_no_alarm_is_waited_for_as_long_as_any_step(tmp_path, monkeypatch):
    from samplerfuzz.targets import isolated

    monkeypatch.setattr(isolated, "_GRACE_S", 0.2)
    file = tmp_path / "mine.py"
    file.write_text(MINE.replace("self.count += 1", f"self.count += 1; {DEAF}\n        while self.count == 3: pass"))
    with closing(load_target(f"{file}:mine", time_limit=0.5)) as loaded:
        outcome = loaded.run(case(500, replay="reset", temperature=1.0))
        assert (outcome.kind, "heeded no alarm" in outcome.message) == ("hang", True)
