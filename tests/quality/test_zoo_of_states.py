"""No defect of state or of repetition is dead: on its trigger each gives the documented wrong answer, and what it was made from does not."""

import numpy as np
import pytest

from samplerfuzz.cases import Case
from samplerfuzz.core.registry import load
from samplerfuzz.targets.plain import PlainTarget
from samplerfuzz.zoo import DEFECTS, states

HERE = sorted(id for id, item in DEFECTS.items() if item.target.rpartition(":")[0].endswith((".states", ".repetitions")))
INF = np.inf


def of(id):
    return load(DEFECTS[id].target)


def correct(id):
    """Return the class that a defect is made from, which is right."""
    return of(id).__mro__[1]


def logits_of(*rows):
    return np.log(np.array(rows)).astype(np.float32)


HALVES = logits_of((0.5, 0.25, 0.25))
MANY = np.zeros((1, 1000), np.float32)


def drawn(sampler, logits, steps):
    return [int(sampler.step(logits)[0]) for _ in range(steps)]


def kept(answer):
    return [np.flatnonzero(row > (-INF if row.min() < 0 else 0)).tolist() for row in answer]


def test_lc_06_forgets_that_it_was_surprised():
    # two bits of surprise where one was wanted bring the bound from 2.02 to 1.03, and only the token of one bit stays
    for cls, right in ((of("LC-06"), False), (correct("LC-06"), True)):
        texts = [drawn(cls(temperature=1.0, mirostat_tau=1.01, mirostat_eta=1.0, seed=seed), HALVES, 20) for seed in range(20)]
        assert all(set(text[1 + next((i for i, t in enumerate(text) if t), 20) :]) <= {0} for text in texts) is right


@pytest.mark.parametrize("id", ["LC-12", "SF-02"])
def test_lc_12_and_sf_02_make_clones_that_draw_otherwise(id):
    for cls, right in ((of(id), False), (correct(id), True)):
        original = cls(temperature=1.0, mirostat_tau=100.0, mirostat_eta=1.0, seed=3)
        begun = drawn(original, MANY, 4)
        twin = original.clone()
        of_the_twin = drawn(twin, MANY, 4)
        assert (of_the_twin == drawn(original, MANY, 4)) is right
        assert (of_the_twin == begun) is (id == "LC-12" and not right)


def test_lc_14_begins_where_the_last_text_ended():
    states.BoundOfTheLastText.bound = None
    first = of("LC-14")(mirostat_tau=1.01, mirostat_eta=1.0)
    assert kept(first.step(HALVES)) == [[0, 1, 2]]
    first.accept(np.array([1]))
    assert kept(of("LC-14")(mirostat_tau=1.01, mirostat_eta=1.0).step(HALVES)) == [[0]]


def test_tw_01_moves_every_row_by_the_token_of_the_first():
    sampler = of("TW-01")(mirostat_tau=1.01, mirostat_eta=1.0)
    two = np.repeat(HALVES, 2, 0)
    assert kept(sampler.step(two)) == [[0, 1, 2]] * 2
    sampler.accept(np.array([1, 0]))
    assert kept(sampler.step(two)) == [[0], [0]]


def test_ik_01_averages_zeroes():
    # tokens as probable as the target leave the target where it is; zeroes raise it
    for cls, right in ((of("IK-01"), False), (correct("IK-01"), True)):
        sampler = cls(adaptive_target=0.25, adaptive_decay=0.5)
        first = sampler.step(HALVES)
        sampler.accept(np.array([1]))
        assert np.allclose(sampler.step(HALVES), first) is right


def test_ik_02_goes_on_after_reset():
    for cls, right in ((of("IK-02"), False), (correct("IK-02"), True)):
        sampler = cls(adaptive_target=0.5, adaptive_decay=0.5)
        first = sampler.step(HALVES)
        sampler.accept(np.array([1]))
        sampler.reset()
        assert np.allclose(sampler.step(HALVES), first) is right


def penalising(cls, history, size):
    return cls(history=[np.array(history)], presence_penalty=1.0, frequency_penalty=0.5, penalty_last_n=size)


def test_lc_13_clones_the_window_without_its_counts():
    for cls, right in ((of("LC-13"), False), (correct("LC-13"), True)):
        sampler = penalising(cls, [0, 0, 1], -1)
        assert sampler.step(np.zeros((1, 3))).tolist() == [[-2, -1.5, 0]]
        assert (sampler.clone().step(np.zeros((1, 3))).tolist() == [[-2, -1.5, 0]]) is right


def test_sf_03_keeps_the_count_of_what_has_left():
    for cls, right in ((of("SF-03"), False), (correct("SF-03"), True)):
        sampler = penalising(cls, [0], 1)
        assert sampler.step(np.zeros((1, 3))).tolist() == [[-1.5, 0, 0]]
        sampler.accept(np.array([2]))
        assert (sampler.step(np.zeros((1, 3))).tolist() == [[0, 0, -1.5]]) is right


def test_vl_10b_penalises_the_prompt_alone():
    for cls, right in ((of("VL-10B"), False), (correct("VL-10B"), True)):
        sampler = penalising(cls, [0], -1)
        sampler.step(np.zeros((1, 3)))
        sampler.accept(np.array([2]))
        assert (sampler.step(np.zeros((1, 3))).tolist() == [[-1.5, 0, -1.5]]) is right


def test_tr_04_draws_one_token_for_a_whole_text():
    assert len(set(drawn(of("TR-04")(temperature=1.0, seed=5), MANY, 20))) == 1


def test_old_08_draws_neighbours():
    for seed in range(5):
        tokens = np.array(drawn(of("OLD-08")(temperature=1.0, seed=seed), MANY, 20))
        # one step of the base moves the uniform by 1664525/2^32 = 0.00039, less than half a token of a thousand
        assert set(np.diff(tokens) % 1000) <= {0, 1}


def test_lc_05b_tosses_one_coin_a_text():
    texts = []
    for seed in range(20):
        sampler = of("LC-05B")(xtc_threshold=0.2, xtc_probability=0.5, seed=seed)
        texts.append([len(kept(sampler.step(HALVES))[0]) for _ in range(20)])
    assert all(len(set(text)) == 1 for text in texts)
    assert len({text[0] for text in texts}) == 2


def test_ap_01_bounds_bits_by_nats():
    # 3.3 bits are 2.3 nats, so a bound of 3 removes the token or does not
    tokens, bound = of("AP-01")(logits_of((0.9, 0.1)), mirostat_tau=1.5, mirostat_eta=1.0, u=np.array([0.95]), state=None)
    assert tokens.tolist() == [1]
    assert bound == pytest.approx(3 - (np.log(10) - 1.5), abs=1e-6)


DRY = {"dry_multiplier": 1.0, "dry_base": 2.0, "dry_allowed_length": 2}
# id, history, parameters, the price of each token, the right price
REPETITIONS = [
    ("PN-05", [0, 1, 2, 0, 1], {**DRY, "dry_sequence_breakers": [1]}, [0, 0, 1], [0, 0, 0]),
    ("PN-05", [0, 1, 2, 0, 1], {**DRY, "dry_sequence_breakers": []}, [0, 0, 1], [0, 0, 1]),
    ("SF-01", [0, 1, 2, 0, 1], DRY, [0, 0, 0], [0, 0, 1]),
    ("SF-01", [1, 0, 1, 2, 1, 0, 1], DRY, [0, 0, 1], [0, 0, 2]),
]


@pytest.mark.parametrize(("id", "history", "parameters", "wrong", "right"), REPETITIONS)
def test_pn_05_and_sf_01_misprice_repetitions(id, history, parameters, wrong, right):
    logits = np.zeros((1, 3), np.float32)
    assert (-of(id)(logits, [np.array(history)], **parameters)).tolist() == [wrong]
    assert priced(history, parameters.get("dry_sequence_breakers", []), parameters["dry_allowed_length"]) == right


def priced(history, breakers, allowed):
    """Price by definition, in another way than the zoo: for each token, the longest end of the history that it has followed."""
    prices = []
    for token in range(3):
        lengths = [
            n
            for n in range(1, len(history))
            for start in range(len(history) - n)
            if history[start : start + n] == history[len(history) - n :]
            and history[start + n] == token
            and not set(breakers) & {*history[-n:], token}
        ]
        longest = max(lengths, default=0)
        prices.append(2 ** (longest - allowed) if longest >= allowed else 0)
    return prices


@pytest.mark.parametrize("id", HERE)
@pytest.mark.parametrize("poison", [[np.nan, 0, 1], [INF, 0, 1], [-INF, -INF, -INF]], ids=["nan", "inf", "all masked"])
def test_a_defect_refuses_poisoned_logits(id, poison):
    """Only its one bug can be found in a defect."""
    target = PlainTarget(of(id), locator=DEFECTS[id].target)
    values = {
        name: [[]] if name == "dry_sequence_breakers" else np.array([0.5 if name == "adaptive_decay" else 1.0])
        for name in target.spec.parameters
    }
    outcome = target.run(Case(logits=np.array([poison], np.float32), parameters=values, history=(np.array([0]),)))
    assert outcome.kind == "raised"
    assert "logits" in outcome.message


def test_every_trigger_is_tested():
    tests = " ".join(name for name in globals() if name.startswith("test_"))
    assert HERE
    assert not [id for id in HERE if f"_{id.lower().replace('-', '_')}_" not in tests]
