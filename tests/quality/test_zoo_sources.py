"""No defect of the zoo is dead: on its documented trigger each gives the documented wrong answer."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from zoo_triggers import INF, SUPPORTS, TOKENS, VALUES, logits_of, raw

from samplerfuzz.cases.uniforms import steps
from samplerfuzz.core.registry import load
from samplerfuzz.zoo import DEFECTS, UNEXPRESSED
from samplerfuzz.zoo.catalog import CHECK_KINDS

# what has a state or a memory of repetitions has a file of its own
ELSEWHERE = {id for id, item in DEFECTS.items() if item.target.rpartition(":")[0].endswith((".states", ".repetitions"))}


def run(id, logits, **parameters):
    return load(DEFECTS[id].target)(logits, **parameters)


def kept(result):
    return [np.flatnonzero(row > -INF).tolist() for row in result]


@pytest.mark.parametrize(("id", "logits", "parameters", "wrong", "right"), SUPPORTS, ids=[row[0] for row in SUPPORTS])
def test_the_trigger_gives_the_documented_support(id, logits, parameters, wrong, right):
    assert wrong != right
    assert kept(run(id, logits, **parameters)) == wrong


@pytest.mark.parametrize(("id", "logits", "parameters", "wrong", "right"), VALUES, ids=[row[0] for row in VALUES])
def test_the_trigger_gives_the_documented_values(id, logits, parameters, wrong, right):
    assert wrong != right
    np.testing.assert_allclose(run(id, logits, **parameters), wrong, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("id", "logits", "parameters", "wrong", "right"), TOKENS, ids=[row[0] for row in TOKENS])
def test_the_trigger_gives_the_documented_token(id, logits, parameters, wrong, right):
    assert wrong != right
    assert run(id, logits, **parameters).tolist() == wrong


def test_fi_03_returns_the_last_id_without_mass():
    logits = np.sin(np.arange(200 * 8, dtype=np.float32)).reshape(200, 8)  # rows whose float32 mass falls short are among them
    logits[:, -1] = -INF
    below_one = run("FI-03", logits, temperature=1.0, top_k=0, u=np.full(200, 1 - 2**-53))
    assert set(below_one.tolist()) == {6, 7}
    assert 7 not in run("FI-03", logits, temperature=1.0, top_k=0, u=np.full(200, 1 - 2**-10))


def test_fi_02_draws_a_token_without_mass_where_the_sum_is_unsteady():
    rng = np.random.default_rng(0)
    grid = (np.arange(64) + 0.37) / 64
    drawn = []
    for _ in range(30):
        logits = np.where(rng.random((1, 24)) < 0.5, -INF, rng.normal(size=(1, 24))).astype(np.float32)
        p = np.exp(logits[0].astype(np.float64))
        p /= p.sum()
        u = steps(p)
        drawn += logits[0, run("FI-02", np.repeat(logits, len(u), 0), temperature=1.0, top_k=0, u=u)].tolist()
        expected = (np.cumsum(p)[:, None] <= grid).sum(0)
        assert run("FI-02", np.repeat(logits, 64, 0), temperature=1.0, top_k=0, u=grid).tolist() == expected.tolist()
    assert -INF in drawn


def test_jx_03_runs_past_the_last_token_with_mass():
    logits = np.sin(np.arange(200 * 8, dtype=np.float32)).reshape(200, 8)
    logits[:, -1] = -INF
    assert 7 in run("JX-03", logits, temperature=1.0, top_k=0, u=np.full(200, 1 - 2**-53))
    assert 7 not in run("JX-03", logits, temperature=1.0, top_k=0, u=np.full(200, 1 - 2**-10))


def test_vl_15_reads_the_first_row_behind_the_wrap():
    logits = np.arange(3 * 64, dtype=np.float32).reshape(3, 64)
    assert run("VL-15", logits, top_k=0)[:, 0].tolist() == [0, 64, 0]


def test_pn_04_reads_behind_the_penalty_buffer():
    with pytest.raises(IndexError):
        run("PN-04", raw((0,) * 5), history=[[0]], presence_penalty=1.0)
    assert run("PN-04", raw((0,) * 4), history=[[0]], presence_penalty=1.0).tolist() == [[-1, 0, 0, 0]]


def test_ex_04_draws_padding_columns():
    drawn = {token for seed in range(20) for token in run("EX-04", np.repeat(raw((-1, -1, -1)), 50, 0), temperature=1.0, seed=seed)}
    assert drawn == set(range(8))
    assert run("EX-04", np.repeat(raw((-1,) * 8), 50, 0), temperature=1.0, seed=0).max() < 8


def test_old_09_raises_for_two_rows():
    with pytest.raises(ValueError, match="size 1"):
        run("OLD-09", raw((0, 1), (1, 0)), min_p=0.5)
    assert kept(run("OLD-09", raw((0, 1)), min_p=0.5)) == [[1]]


def test_sg_03_refuses_min_p_with_a_seed():
    with pytest.raises(ValueError, match="seeded"):
        run("SG-03", logits_of((0.05, 0.55, 0.1, 0.3)), min_p=0.5, seed=1)
    assert run("SG-03", raw((0, -INF)), min_p=0.0, seed=1).tolist() == [0]


def test_gm_02_tears_the_key_apart():
    flat = np.zeros((1, 1000), np.float32)
    assert len({int(run("GM-02", flat, temperature=1.0, seed=seed)[0]) for seed in range(5)}) > 1
    assert len({int(run("GM-02", np.repeat(flat, 2, 0), temperature=1.0, seed=seed)[0]) for seed in range(5)}) == 1
    with pytest.raises(ValueError, match="reshape"):
        run("GM-02", np.repeat(flat, 3, 0), temperature=1.0, seed=1)


def test_fi_04_accepts_nothing_below_the_slack():
    logits = np.repeat(raw((2, 1, 0, 0)), 200, 0)
    assert 3 in run("FI-04", logits, top_p=1e-6, seed=0)
    assert set(run("FI-04", logits, top_p=0.5, seed=0).tolist()) == {0}
    assert set(run("FI-04", logits, top_p=0.7, seed=0).tolist()) == {0, 1}


def test_fi_05_replaces_from_the_first_positions_target():
    logits = np.repeat(raw((0, 9, -INF)), 200, 0)
    logits[1:] = (0, -INF, 9)
    assert 1 in run("FI-05", logits, temperature=1.0, seed=0)[1:]
    assert set(run("FI-05", logits[1:], temperature=1.0, seed=0).tolist()) <= {0, 2}


def test_fi_06_leans_to_the_end():
    tokens = run("FI-06", np.repeat(logits_of((0.4, 0.4, 0.1, 0.1)), 4000, 0), temperature=1.0, seed=1)
    # A rejected draft (probability 0.3) has u > 0.4 and is replaced by 0 below u = 0.5 only: P(0) = 0.25 + 0.05, against 0.4.
    assert 0.25 < (tokens == 0).mean() < 0.35


def test_sj_05_ties_the_columns_to_each_other():
    logits = np.repeat(logits_of((0.7, 0.2, 0.07, 0.03)), 4000, 0)
    tokens = run("SJ-05", logits, temperature=np.ones(4000), seed=np.arange(4000))
    # Six standard deviations of independent draws are 0.044.
    assert abs((tokens == 0).mean() - 0.7) > 0.1


def test_jx_02_hardly_draws_a_tail():
    logits = np.zeros((2000, 1000), np.float32)
    logits[:, 0] = np.log(3000)
    tokens = run("JX-02", logits, temperature=1.0, seed=1)
    # The tail has probability 0.25; six standard deviations are 0.058.
    assert (tokens > 0).mean() < 0.19


def test_ol_04_ignores_the_seed():
    flat = np.zeros((8, 1000), np.float32)
    assert run("OL-04", flat, temperature=1.0, seed=7).tolist() != run("OL-04", flat, temperature=1.0, seed=7).tolist()


def test_tr_03_gives_every_row_the_same_noise():
    calls = [run("TR-03", np.zeros((9, 1000), np.float32), temperature=1.0).tolist() for _ in range(2)]
    assert len(set(calls[0] + calls[1])) == 1


def test_ot_08_draws_rows_apart_and_calls_alike():
    flat = np.zeros((9, 1000), np.float32)
    first, second = (run("OT-08", flat, temperature=1.0).tolist() for _ in range(2))
    assert first == second
    assert len(set(first)) > 1


def test_vl_12_draws_by_its_neighbours_seeds():
    flat = np.zeros((2, 1000), np.float32)
    alone = run("VL-12", flat[:1], temperature=np.ones(1), seed=np.array([5]))[0]
    assert run("VL-12", flat, temperature=np.ones(2), seed=np.array([4, 5]))[1] == alone
    assert run("VL-12", flat, temperature=np.ones(2), seed=np.array([5, 5]))[1] != alone


def test_tr_01_gives_a_row_the_seed_of_a_later_one():
    flat = np.zeros((3, 1000), np.float32)
    alone = {seed: run("TR-01", flat[:1], temperature=np.ones(1), seed=np.array([seed]))[0] for seed in (4, 5, 6)}
    seeds = np.array([4, 5, 6])
    assert run("TR-01", flat, temperature=np.ones(3), seed=seeds).tolist() == [alone[4], alone[5], alone[6]]
    assert run("TR-01", flat, temperature=np.array([0, 1.0, 1.0]), seed=seeds)[1] == alone[6]


def test_lc_05_tosses_an_unseeded_coin():
    flat = np.zeros((1, 4), np.float32)
    sizes = [len(kept(run("LC-05", flat, xtc_threshold=0.1, xtc_probability=0.5, seed=3))[0]) for _ in range(64)]
    assert set(sizes) == {1, 4}
    assert kept(run("LC-05", flat, xtc_threshold=0.1, xtc_probability=1.0, seed=3)) == [[3]]


def test_vl_01_never_draws_a_token_twice():
    flat = np.zeros((4, 4), np.float32)
    assert {tuple(sorted(run("VL-01", flat, temperature=1.0, seed=seed).tolist())) for seed in range(20)} == {(0, 1, 2, 3)}
    only = raw((0, -INF), (0, -INF))
    assert run("VL-01", only, temperature=1.0, seed=0).tolist() == [0, 1]


def test_fi_10_never_separates_neighbours_one_ulp_apart():
    apart = raw((0, np.log(2)))
    assert kept(run("FI-10", apart, top_k=1)) == [[1]]
    assert _is_still_searching("FI-10", raw((0, 1e-7)), top_k=1)


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
    done = _in_a_process_of_its_own(
        "index_selected_before_the_filters_is_asserted_after_them(np.array([[0, 3, -2]], np.float32), top_p=0.5)"
    )
    assert done.returncode == -signal.SIGABRT
    assert "selected < size) failed" in done.stderr


def test_ex_07_ends_the_process_on_a_placeholder():
    call = "dry_follows_ids_outside_the_vocabulary(np.zeros((1, 3), np.float32), [np.array([0, 8])], dry_multiplier={})"
    assert _in_a_process_of_its_own(call.format(1)).returncode == -signal.SIGSEGV
    assert _in_a_process_of_its_own(call.format(0)).returncode == 0


def _in_a_process_of_its_own(call):
    script = f"import sys, numpy as np; sys.path[:] = {sys.path}; from samplerfuzz.zoo import crashes; crashes.{call}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


def test_fi_09_never_ends_on_a_masked_row():
    assert kept(run("FI-09", raw((0, 3, -2)), top_k=2)) == [[0, 1]]
    assert _is_still_searching("FI-09", raw((0, -INF)), top_k=1)


def _is_still_searching(id, logits, **parameters):
    class StillSearchingError(Exception):
        pass

    def stop(signum, frame):
        raise StillSearchingError

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        run(id, logits, **parameters)
    except StillSearchingError:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return False


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


@pytest.mark.parametrize("id", sorted(set(DEFECTS) - {"JX-06", "FI-11"} - ELSEWHERE))
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
    by_table = {row[0] for row in SUPPORTS + VALUES + TOKENS}
    by_name = " ".join(name for name in globals() if name.startswith("test_"))
    assert not [
        id for id in sorted(set(DEFECTS) - ELSEWHERE) if id not in by_table and f"test_{id.lower().replace('-', '_')}_" not in by_name
    ]


def test_a_documented_bug_is_in_the_zoo_or_the_reason_is_told():
    assert not set(DEFECTS) & set(UNEXPRESSED)
    assert all(reason.strip() == reason and len(reason) > 20 for reason in UNEXPRESSED.values())
