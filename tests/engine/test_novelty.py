"""Behaviour is counted once, what yields more is chosen more often, and nothing is given up."""

import numpy as np
import pytest

from samplerfuzz.cases import Case
from samplerfuzz.cases.generator import STRATEGIES
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.engine.novelty import ANSWERS, REGIME_NAMES, VALUES, Novelty
from samplerfuzz.targets.builtin import builtin_target
from samplerfuzz.targets.target import Outcome

SPEC = builtin_target("top_k").spec


def judgement(ks, kept, *, regime="normal", strategy="ordinary", kind="value"):
    z = np.tile(np.arange(8, dtype=np.float32), (len(ks), 1))
    case = Case(logits=z, parameters={"top_k": np.array(ks, np.float64)}, regime=regime, strategy=strategy)
    value = np.where(np.arange(8) >= 8 - np.array(kept)[:, None], z, -np.inf)
    return Judgement(SPEC, case, Outcome(kind=kind, value=value, form="logits") if kind == "value" else Outcome(kind=kind))


@pytest.mark.parametrize(
    ("k", "kept", "kind", "value", "answer"),
    [
        (3, 1, "value", "lower half", "one token"),
        (3, 2, "value", "lower half", "few tokens"),
        (50, 7, "value", "upper half", "many tokens"),
        (3, 8, "value", "lower half", "every token"),
        (-5, 8, "value", "below 0", "every token"),
        (np.nan, 8, "raised", "NaN", "refused"),
        (np.inf, 8, "crash", "±inf", "failure"),
    ],
)
def test_a_row_is_one_cell(k, kept, kind, value, answer):
    novelty = Novelty(["top_k"])
    novelty.saw(judgement([k], [kept], kind=kind), 1.5)
    (cell,) = novelty.fresh()
    rest, found = divmod(cell, len(ANSWERS))
    rest, regime = divmod(rest, len(REGIME_NAMES))
    assert (VALUES[rest], REGIME_NAMES[regime], ANSWERS[found]) == (value, "normal", answer)
    assert novelty.last_new == 1.5


def test_what_was_met_is_not_new_in_this_process_or_the_next():
    novelty = Novelty(["top_k"])
    novelty.saw(judgement([3, 3], [1, 1]), 1.0)
    novelty.saw(judgement([3], [1]), 2.0)
    assert (len(novelty.fresh()), novelty.fresh(), novelty.last_new) == (1, [], 1.0)
    again = Novelty(["top_k"], novelty.cells)
    again.saw(judgement([3], [1]), 3.0)
    again.saw(judgement([3], [1], regime="tied", strategy="edge"), 4.0)
    assert again.yields() == {"ordinary": {"cases": 1, "new": 0}, "edge": {"cases": 1, "new": 1}}
    assert again.matrix() == {"top_k": {"normal": 1, "tied": 1}}


def test_what_yields_is_chosen_more_often_and_nothing_is_given_up():
    novelty = Novelty(["top_k"])
    for step in range(300):
        novelty.saw(judgement([3], [1], strategy="ordinary"), float(step))
        novelty.cells.clear()
        novelty.saw(judgement([3], [1], strategy="edge"), float(step))
    rng = np.random.default_rng(1)
    chosen = [novelty.strategy(rng) for _ in range(4000)]
    share = {name: chosen.count(name) / len(chosen) for name in STRATEGIES}
    assert share["edge"] > STRATEGIES["edge"]
    assert share["ordinary"] > 0.25 * STRATEGIES["ordinary"]
    assert min(share.values()) > 0


def test_a_target_without_parameters_has_cells_too():
    novelty = Novelty([])
    novelty.saw(judgement([3], [1]), 1.0)
    assert len(novelty.cells) == 1
    assert novelty.matrix() == {}
