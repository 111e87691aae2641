"""What goes through the pipe comes out as it went in, to the bit."""

import os

import numpy as np
import pytest

from samplerfuzz.cases import Case, Generator
from samplerfuzz.core.registry import parameter_owners
from samplerfuzz.targets import builtin
from samplerfuzz.targets.frames import case_arrays, case_of, outcome_frame, outcome_of, spec_header, spec_of
from samplerfuzz.targets.plain import PlainTarget, target
from samplerfuzz.targets.target import Outcome
from samplerfuzz.targets.worker import LARGE, PREFIX_SIZE, Shared, decode_frame, encode_frame, frame_sizes


def sent(header, arrays):
    frame = bytearray(encode_frame(header, arrays))
    size, body = frame_sizes(frame)
    assert len(frame) == PREFIX_SIZE + size + body
    return decode_frame(frame[PREFIX_SIZE:], size)


def exactly(case):
    """Return all that a case holds, NaN, signs of zero and the order of biases included."""
    data = case.with_(regime="", strategy="").to_json()
    return repr({**data, "parameters": sorted(data["parameters"].items())})


@pytest.mark.parametrize("strategy", ["ordinary", "edge", "poison"])
@pytest.mark.parametrize("per_row", [False, True])
def test_a_case_is_the_same_on_the_other_side(strategy, per_row):
    inputs = frozenset({"history", "prompt", "output", "seed", "u"})
    generator = Generator(parameters=sorted(parameter_owners()), inputs=inputs, per_row=per_row)
    rng = np.random.default_rng(1)
    for rows in (1, 2, 7):
        case = generator.case(rng, rows=rows, size=5, strategy=strategy)
        assert exactly(case_of(sent({}, case_arrays(case))[1])) == exactly(case)


def test_what_is_absent_stays_absent():
    case = Case(logits=np.array([[0.0, -0.0, np.nan, -np.inf, 1e-45]], np.float32))
    there = case_of(sent({}, case_arrays(case))[1])
    assert (there.history, there.seeds, there.u, there.prompt_length, there.parameters) == (None, None, None, None, {})
    assert there.logits.tobytes() == case.logits.tobytes()


def test_no_token_so_far_is_not_no_history():
    case = Case(logits=np.zeros((2, 3), np.float32), history=(np.zeros(0, np.int64), np.zeros(0, np.int64)))
    assert [len(ids) for ids in case_of(sent({}, case_arrays(case))[1]).history] == [0, 0]


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(kind="value", form="logits", value=np.array([[np.nan, -0.0, 1e-300]]), mutated=True),
        Outcome(kind="value", form="tokens", value=np.array([2**62, -1])),
        Outcome(kind="raised", message='ValueError: "\udcff" \x00 ∞'),
    ],
    ids=lambda outcome: outcome.form or outcome.kind,
)
def test_an_outcome_is_the_same_on_the_other_side(outcome):
    there = outcome_of(*sent(*outcome_frame(outcome)))
    assert (there.kind, there.form, there.message, there.mutated) == (outcome.kind, outcome.form, outcome.message, outcome.mutated)
    assert (there.value is None) == (outcome.value is None)
    if outcome.value is not None:
        assert there.value.dtype == outcome.value.dtype
        assert there.value.tobytes() == outcome.value.tobytes()


def test_arrays_lie_where_native_code_may_read_them():
    _, arrays = sent({"odd": "x" * 3}, {"a": np.zeros(3, np.int8), "b": np.arange(3.0), "c": np.zeros((0, 4)), "d": np.arange(2)})
    assert all(array.flags.aligned for array in arrays.values())
    assert arrays["b"].tolist() == [0, 1, 2]
    assert arrays["c"].shape == (0, 4)


@pytest.mark.parametrize("name", builtin.CHAINS)
def test_a_specification_is_the_same_on_the_other_side(name):
    spec = builtin.builtin_target(name).spec
    assert spec_of(sent(spec_header(spec), {})[0]) == spec


def test_a_declaration_in_numpy_numbers_is_said_in_json():
    declared = target(order=["top_p"], per_row=np.bool_(True), domain={"top_p": (np.float32(0.25), np.inf)})
    spec = PlainTarget(declared(lambda logits, top_p: logits), locator="x:f").spec
    there = spec_of(sent(spec_header(spec), {})[0])
    assert (there.per_row, there.domain) == (True, {"top_p": (0.25, np.inf)})


def test_garbage_is_no_frame():
    with pytest.raises(ValueError, match="no frame begins with"):
        frame_sizes(b"Traceback (most recent call last)")


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no files in memory")
def test_a_large_body_crosses_in_shared_memory_and_is_not_changed_by_the_next():
    descriptor = os.memfd_create("test")
    here, there = Shared(descriptor), Shared(descriptor)
    sent = [{"a": np.arange(LARGE * n, dtype=np.uint8), "empty": np.zeros((0, 3)), "b": np.full(5, n)} for n in (1, 3, 2)]
    received = []
    for arrays in sent:
        frame = bytearray(encode_frame({"n": 1}, arrays, here))
        size, body = frame_sizes(frame)
        assert (body, len(frame) < 1000) == (0, True)
        header, got = decode_frame(frame[PREFIX_SIZE:], size, there)
        assert header == {"n": 1}
        received.append(got)
    os.close(descriptor)
    for arrays, got in zip(sent, received, strict=True):
        assert {name: array.tolist() for name, array in arrays.items()} == {name: array.tolist() for name, array in got.items()}
        assert all(array.ctypes.data % 16 == 0 for array in got.values() if array.size)


def test_a_body_goes_through_the_pipe_where_memory_cannot_be_had():
    # as with a limit on the size of files: this one cannot grow
    descriptor = os.open(os.devnull, os.O_RDONLY)
    given = np.arange(LARGE, dtype=np.uint8)
    frame = bytearray(encode_frame({"n": 1}, {"a": given}, Shared(descriptor)))
    os.close(descriptor)
    size, body = frame_sizes(frame)
    assert body == LARGE
    header, got = decode_frame(frame[PREFIX_SIZE:], size)
    assert header == {"n": 1}
    assert (got["a"] == given).all()
