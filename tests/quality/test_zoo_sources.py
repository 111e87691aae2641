"""No defect of the zoo is dead: on its documented trigger each gives the documented wrong answer."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from samplerfuzz.core.registry import load
from samplerfuzz.zoo import DEFECTS
from samplerfuzz.zoo.catalog import CHECK_KINDS

INF = np.inf


def logits_of(*rows):
    """Logits [B, V] in float32 with the given probabilities."""
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows)).astype(np.float32)


def raw(*rows):
    return np.array(rows, np.float32)


def run(id, logits, **parameters):
    return load(DEFECTS[id].target)(logits, **parameters)


def kept(result):
    return [np.flatnonzero(row > -INF).tolist() for row in result]


# id, logits, parameters, kept ids of each row with the defect, kept ids of a correct sampler
SUPPORTS = [
    ("LC-01", logits_of((0.6, 0.4)), {"temperature": 1.0, "top_p": 0.7}, [[0]], [[0, 1]]),
    ("OLD-01", raw((1, 2, 3)), {"top_k": 1}, [[1, 2]], [[2]]),
    ("OLD-03", raw((1, 2, 3, 4)), {"top_p": 1.0}, [[3]], [[0, 1, 2, 3]]),
    ("OT-06", raw((1, 2, 3, 4)), {"top_p": 1e-8}, [[]], [[3]]),
    ("OLD-06", logits_of((0.1, 0.2, 0.7)), {"top_p": 0.5}, [[0, 1, 2]], [[2]]),
    ("VL-11", logits_of((0.7, 0.2, 0.1)), {"top_p": 0.5}, [[1, 2]], [[0]]),
    ("MLX-08", logits_of((0.4, 0.35, 0.25)), {"top_p": 0.99, "min_p": 0.0, "top_k": 1}, [[0, 1, 2]], [[0]]),
    ("LC-09", logits_of((0.5, 0.3, 0.2)), {"min_p": 0.5}, [[0]], [[0, 1]]),
    ("OT-04", raw((-1, -2, -3)), {"top_k": 1}, [[0, 1, 2]], [[0]]),
    ("JX-07", raw((2, 1, -INF)), {"top_k": 1, "temperature": 1.0}, [[0, 1, 2]], [[0]]),
    ("MLX-05", logits_of((0.7, 0.2, 0.1), (0.1, 0.2, 0.7)), {"top_p": 0.5}, [[0], [0, 1, 2]], [[0], [2]]),
]


@pytest.mark.parametrize(("id", "logits", "parameters", "wrong", "right"), SUPPORTS, ids=[row[0] for row in SUPPORTS])
def test_the_trigger_gives_the_documented_support(id, logits, parameters, wrong, right):
    assert wrong != right
    assert kept(run(id, logits, **parameters)) == wrong


# id, logits, parameters, values with the defect, correct values
VALUES = [
    ("SJ-06", raw((0, 0, 0, 0)), {"temperature": 1.0, "top_k": -1}, [[1, 0, 0, 0]], [[0.25] * 4]),
    ("SJ-06", raw((0, 0, 0, 0)), {"temperature": 1.0, "top_k": 4}, [[1, 0, 0, 0]], [[0.25] * 4]),
    ("OLD-05", logits_of((0.25, 0.25, 0.5)), {"temperature": 1.0, "top_p": 1.0}, [[0.25, 0.5, 0.25]], [[0.25, 0.25, 0.5]]),
    ("PN-01", raw((-1, -2)), {"history": [[0]], "repetition_penalty": 2.0}, [[-0.5, -2]], [[-2, -2]]),
    ("PN-03", raw((4, 1)), {"history": [[0]], "repetition_penalty": 2.0}, [[1, 1]], [[2, 1]]),
    ("KC-01", raw((1, 3, 2)), {"history": [[0]], "top_k": 0, "presence_penalty": 2.0}, [[1, 1, 2]], [[-1, 3, 2]]),
    (
        "OT-10",
        raw((4, 4, 4, 4)),
        {"history": [[0, 1, 2, 3]], "repetition_penalty": 2.0, "penalty_last_n": 2},
        [[2, 2, 4, 4]],
        [[4, 4, 2, 2]],
    ),
    ("EX-05", raw((4, 4), (4, 4)), {"history": [[0], [1]], "repetition_penalty": 2.0}, [[2, 4], [2, 4]], [[2, 4], [4, 2]]),
    ("VL-05", raw((0, 1, -INF), (0, 0, 0)), {"temperature": np.array([0.0, 1.0])}, [[np.nan] * 3, [1 / 3] * 3], [[0, 1, 0], [1 / 3] * 3]),
    ("OL-02", raw((100, 100)), {"temperature": 1.0}, [[np.nan, np.nan]], [[0.5, 0.5]]),
    ("EX-02", raw((10, 10)), {"temperature": 0.05}, [[np.nan, np.nan]], [[0.5, 0.5]]),
    ("TR-06", logits_of((0.75, 0.25)), {"temperature": -1.0}, [[0.25, 0.75]], None),
]


@pytest.mark.parametrize(("id", "logits", "parameters", "wrong", "right"), VALUES, ids=[row[0] for row in VALUES])
def test_the_trigger_gives_the_documented_values(id, logits, parameters, wrong, right):
    assert wrong != right
    np.testing.assert_allclose(run(id, logits, **parameters), wrong, rtol=1e-6, atol=1e-12)


def test_fi_03_returns_the_last_id_without_mass():
    logits = np.sin(np.arange(200 * 8, dtype=np.float32)).reshape(200, 8)  # rows whose float32 mass falls short are among them
    logits[:, -1] = -INF
    below_one = run("FI-03", logits, temperature=1.0, top_k=0, u=np.full(200, 1 - 2**-53))
    assert set(below_one.tolist()) == {6, 7}
    assert 7 not in run("FI-03", logits, temperature=1.0, top_k=0, u=np.full(200, 1 - 2**-10))


def test_sg_05_draws_almost_uniformly():
    tokens = run("SG-05", np.repeat(logits_of((0.97, 0.01, 0.01, 0.01)), 4000, 0), temperature=1.0, seed=1)
    # Exactly: P(0) = e^0.97 / (e^0.97 + 3 e^0.01) = 0.465, six standard deviations are 0.048.
    assert 0.41 < (tokens == 0).mean() < 0.52


def test_fi_13_repeats_itself_from_call_to_call():
    flat = np.zeros((1, 1000), np.float32)
    assert len({int(run("FI-13", flat, temperature=1.0)[0]) for _ in range(5)}) == 1


def test_jx_06_returns_the_sentinel_for_nan():
    assert run("JX-06", raw((0, np.nan), (0, -INF)), temperature=1.0, seed=3).tolist() == [2**31 - 1, 0]


def test_ot_02_draws_at_temperature_zero():
    tokens = run("OT-02", np.repeat(raw((1, 0)), 200, 0), temperature=0.0, seed=0)
    assert set(tokens.tolist()) == {0, 1}


def test_old_07_repeats_the_first_rows_token():
    assert run("OLD-07", raw((0, -INF), (-INF, 0)), temperature=1.0, seed=0).tolist() == [0, 0]


def test_vl_02_gives_a_row_its_neighbours_parameters():
    # Alone, both rows are greedy by T = 0 or k = 1. In the batch row 1 is handled first, with the parameters of row 0.
    logits = np.repeat(raw((0, 0.5, 0.25)), 2, 0)
    drawn = {
        tuple(run("VL-02", logits, temperature=np.array([1.0, 0.0]), top_k=np.array([0, 1]), seed=np.array([s, s])).tolist())
        for s in range(40)
    }
    assert {row_1 for _, row_1 in drawn} != {1}
    assert {row_0 for row_0, _ in drawn} == {1}


def test_mlx_07_refuses_the_whole_vocabulary():
    with pytest.raises(ValueError, match="top_k must be in"):
        run("MLX-07", raw((1, 2, 3, 4)), top_k=4)
    assert kept(run("MLX-07", raw((1, 2, 3, 4)), top_k=3)) == [[1, 2, 3]]


def test_lc_11_aborts_where_fewer_tokens_stay_than_the_index_of_the_best():
    safe = raw((0, 3, -2))
    assert kept(run("LC-11", safe, top_p=0.99)) == [[0, 1]]
    script = f"import sys, numpy as np; sys.path[:] = {sys.path}; from samplerfuzz.zoo import crashes"
    call = "crashes.index_selected_before_the_filters_is_asserted_after_them(np.array([[0, 3, -2]], np.float32), top_p=0.5)"
    done = subprocess.run([sys.executable, "-c", f"{script}; {call}"], capture_output=True, text=True)
    assert done.returncode == -signal.SIGABRT
    assert "selected < size) failed" in done.stderr


def test_fi_09_never_ends_on_a_masked_row():
    class StillSearchingError(Exception):
        pass

    def stop(signum, frame):
        raise StillSearchingError

    assert kept(run("FI-09", raw((0, 3, -2)), top_k=2)) == [[0, 1]]
    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(StillSearchingError):
            run("FI-09", raw((0, -INF)), top_k=1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("id", DEFECTS)
def test_a_defect_says_what_it_is(id):
    defect = DEFECTS[id]
    assert defect.id == id
    assert defect.description.endswith(".")
    assert defect.source
    assert defect.kind
    assert defect.expected_checks
    assert set(defect.expected_checks) <= set(CHECK_KINDS)
    assert load(defect.target).__name__ == defect.function
    assert load(defect.target).__samplerfuzz__["order"]


@pytest.mark.parametrize("id", sorted(set(DEFECTS) - {"JX-06"}))
@pytest.mark.parametrize("poison", [[np.nan, 0, 1], [INF, 0, 1], [-INF, -INF, -INF]], ids=["nan", "inf", "all masked"])
def test_a_defect_refuses_poisoned_logits(id, poison):
    """Only its one bug can be found in a defect."""
    function = load(DEFECTS[id].target)
    options = function.__samplerfuzz__
    names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    values = {"history": [[0]], "seed": 1, "u": 0.5, "top_k": 1, "penalty_last_n": -1}
    arguments = {name: values.get(name, 1.0) for name in names}
    if options["per_row"] or "u" in arguments:
        arguments = {name: np.array([value]) if options["per_row"] or name == "u" else value for name, value in arguments.items()}
    with pytest.raises(ValueError, match="logits"):
        function(np.array([poison], np.float32), **arguments)


def test_every_trigger_is_tested():
    by_table = {row[0] for row in SUPPORTS + VALUES}
    by_name = " ".join(name for name in globals() if name.startswith("test_"))
    assert not [id for id in DEFECTS if id not in by_table and f"test_{id.lower().replace('-', '_')}_" not in by_name]
