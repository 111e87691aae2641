"""The plain-function contract: what is refused, and how the message helps."""

import signal
import time
from contextlib import closing

import numpy as np
import pytest

from samplerfuzz.cases import Case
from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.isolated import load_target
from samplerfuzz.targets.plain import PlainTarget, target


def case(**parameters):
    return Case(logits=np.array([[0.0, 1.0]], np.float32), parameters={k: np.array([v]) for k, v in parameters.items()})


@pytest.mark.parametrize(
    ("locator", "words"),
    [
        ("nothing", "FILE.py:NAME"),
        ("missing.py:f", "does not exist"),
        ("samplerfuzz.zoo.filters:nope", "functions and classes there"),
        ("no.such.module:f", "does not import"),
        ("samplerfuzz:__version__", "expected a function"),
    ],
)
def test_a_bad_locator_is_explained(locator, words):
    with pytest.raises(UsageError, match=words):
        load_target(locator)


def test_a_file_that_does_not_import_is_explained(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("import no_such_package\n")
    with pytest.raises(UsageError, match="no_such_package"):
        load_target(f"{file}:f")


def test_an_unknown_required_argument_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"'wizardry'; known: .*top_p"):
        PlainTarget(lambda logits, wizardry: logits, locator="x")


def test_somebody_elses_alarm_rings_when_the_call_is_over():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        outcome = PlainTarget(lambda logits, top_k: time.sleep(0.05) or logits, locator="x").run(case(top_k=1))
        assert outcome.kind == "value"
        time.sleep(0.05)
        assert rung == [signal.SIGALRM]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_declaration_beside_a_function_holds_instead_of_its_own():
    declared = target(order=["top_p"], returns="logits", per_row=True)(lambda logits, top_p: logits)
    assert PlainTarget(declared, locator="x").spec.per_row
    spec = PlainTarget(declared, locator="x", declaration={"returns": "probs"}).spec
    assert (spec.returns, spec.per_row, spec.order) == ("probs", False, ("top_p",))


def test_an_unknown_stage_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'top_k'"):
        target(order=["topk"])


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"dtype": np.float32}, "expected one of float64, float32"),
        ({"domain": {"wizardry": (0, 1)}}, "unknown parameter 'wizardry'; known: .*top_p"),
        ({"domain": {"top_p": 0.5}}, "expected two numbers"),
        ({"domain": {"top_p": (1, 0)}}, "low at most high"),
    ],
)
def test_a_declaration_that_means_nothing_is_explained(declared, words):
    with pytest.raises(UsageError, match=words):
        target(order=["top_p"], **declared)


def test_parameters_arrive_as_declared():
    seen = {}

    def scalar(logits, top_k, temperature):
        seen.update(top_k=top_k, temperature=temperature)
        return logits

    PlainTarget(scalar, locator="x").run(case(top_k=3.0, temperature=0.5))
    assert (type(seen["top_k"]), type(seen["temperature"])) == (int, float)

    @target(order=["top_k"], per_row=True)
    def rows(logits, top_k):
        seen["rows"] = top_k
        return logits

    PlainTarget(rows, locator="x").run(case(top_k=3.0))
    assert seen["rows"].dtype == np.int64


@pytest.mark.parametrize(
    ("answer", "words"),
    [(np.zeros((1, 3)), "shape"), ("text", "array"), (np.zeros(2), "shape"), (None, "returned None")],
)
def test_a_malformed_answer_is_an_outcome(answer, words):
    outcome = PlainTarget(lambda logits, top_k: answer, locator="x").run(case(top_k=1.0))
    assert outcome.kind == "malformed"
    assert words in outcome.message


def test_a_hang_is_an_outcome():
    def forever(logits, top_k):
        while True:
            pass

    assert PlainTarget(forever, locator="x", time_limit=0.1).run(case(top_k=1.0)).kind == "hang"


def test_changing_the_input_is_noticed():
    def mutate(logits, top_k):
        logits[:] = 0
        return logits

    assert PlainTarget(mutate, locator="x").run(case(top_k=1.0)).mutated


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("@sf.target", "write @sf.target(...)"),
        ("@sf.target(order='top_k')", "expected the names of the stages in a list"),
        ("@sf.target(order=['top_k', 'top_k'])", "order names 'top_k' twice"),
        ("@sf.target(order=['top_p'])", "takes 'top_k', which no stage of order=['top_p'] reads; add 'top_k' to the order"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused_in_words(tmp_path, declaration, message):
    file = tmp_path / "declared.py"
    file.write_text(f"import samplerfuzz as sf\n{declaration}\ndef mine(logits, top_k, top_p=1.0): return logits\n")
    with pytest.raises(UsageError) as error:
        load_target(f"{file}:mine")
    assert message in str(error.value)


def test_an_optional_parameter_that_no_stage_reads_stays_at_its_default(tmp_path):
    file = tmp_path / "declared.py"
    file.write_text("import samplerfuzz as sf\n@sf.target(order=['top_k'])\ndef mine(logits, top_k, min_p=0.0): return logits\n")
    with closing(load_target(f"{file}:mine")) as loaded:
        assert loaded.spec.parameters == ("top_k",)


def test_a_function_that_names_no_parameter_is_told_to(tmp_path):
    file = tmp_path / "declared.py"
    file.write_text("def mine(logits, **kwargs): return logits\n")
    with pytest.raises(UsageError, match="name them in the signature"):
        load_target(f"{file}:mine")
