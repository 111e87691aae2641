"""What every technique keeps over all temperatures is what its float64 twin says, for whatever techniques the registry holds."""

import numpy as np
import pytest

from samplerfuzz.core.registry import TECHNIQUES
from samplerfuzz.oracle.belief import precision
from samplerfuzz.oracle.chain import believe
from samplerfuzz.probe import kept as kept_module
from samplerfuzz.probe.atlas import Atlas, row_of
from samplerfuzz.probe.exact import tempered
from samplerfuzz.probe.kept import KEPT_BETAS, examples, kept_of
from samplerfuzz.report.probe.data import atlas_json
from samplerfuzz.report.probe.page import probe_page

FILTERS = [name for name, item in TECHNIQUES.items() if item.filters]
LOGITS = (np.random.default_rng(3).normal(size=64) * 3).astype(np.float32)
LOGITS[7], LOGITS[8] = -np.inf, LOGITS.max() - 0.3  # two top choices, for xtc
FINITE = np.flatnonzero(np.isfinite(KEPT_BETAS) & (KEPT_BETAS != 0))


@pytest.fixture(scope="module")
def kept():
    return {kept.technique: kept for kept in kept_of(LOGITS)}


@pytest.mark.parametrize("name", FILTERS)
def test_a_technique_that_filters_has_an_example_that_people_may_give(name):
    first = TECHNIQUES[name].parameters[0]
    low, high = first.asked
    assert first.example is not None
    assert low <= first.example <= high
    assert first.example != first.neutral


@pytest.mark.parametrize("name", FILTERS)
def test_a_technique_keeps_what_its_twin_says_at_every_temperature(kept, name):
    given = {p.name: p.usual for p in TECHNIQUES[name].parameters if p.usual is not None} | {"temperature": 1 / KEPT_BETAS[FINITE]}
    belief = believe(
        np.tile(LOGITS, (len(FINITE), 1)),
        ["temperature", name],
        {key: np.broadcast_to(value, len(FINITE)).astype(np.float64) for key, value in (given | examples()[name]).items()},
        arithmetic=precision("float32"),
    )
    count, mass = kept[name].count[FINITE], kept[name].mass[FINITE]
    assert (belief.must.sum(-1) <= count).all()
    assert (count <= belief.possible.sum(-1)).all()
    assert (belief.may.sum(-1) <= 1)[np.abs(KEPT_BETAS[FINITE]) < 3].all()  # or the twin would let anything pass
    p = tempered(LOGITS, KEPT_BETAS[FINITE]).p
    assert (np.where(belief.must, p, 0).sum(-1) <= mass + 1e-12).all()
    assert (mass <= np.where(belief.possible, p, 0).sum(-1) + 1e-12).all()


def test_at_the_ends_one_token_is_left_and_in_the_middle_all_tie(kept):
    for told in kept.values():
        assert told.count[[0, -1]].tolist() == [1, 1]
        np.testing.assert_allclose(told.mass[[0, -1]], 1)
    for name in ("top_n_sigma", "top_k", "min_p", "p_less"):
        assert kept[name].count[len(KEPT_BETAS) // 2] == 63


def test_only_a_rank_and_a_spread_of_logits_keep_the_same_tokens_at_every_temperature(kept):
    assert {name for name, told in kept.items() if told.same} == {"top_n_sigma", "top_k"}


def test_all_rows_and_techniques_are_one_compilation(monkeypatch):
    traced = []
    chain = kept_module.samplers.temperature

    def counted(value):
        traced.append(1)
        return chain(value)

    kept_module._kept.clear_cache()
    monkeypatch.setattr(kept_module.samplers, "temperature", counted)
    for shift in range(3):
        kept_of(np.roll(LOGITS, shift))
    assert len(traced) == 1


def test_a_technique_that_is_added_to_the_registry_is_in_the_atlas_and_on_the_page(monkeypatch):
    item = TECHNIQUES["top_k"]
    monkeypatch.setitem(TECHNIQUES, "another", item)
    examples.cache_clear()
    monkeypatch.setattr(kept_module.samplers, "build", lambda order, given: kept_module.samplers.chain(kept_module.samplers.top_k(3)))
    try:
        atlas = Atlas(rows=[row_of([0], LOGITS)], texts={})
    finally:
        examples.cache_clear()
    data = atlas_json(atlas, model="tiny", prompts=["a"], show=str, text=str)
    told = data["rows"][0]["kept"]["another"]
    assert told["parameters"] == {"top_k": 50}
    assert told["count"][1] == 3
    assert len(told["count"]) == len(told["mass"]) == len(data["kept_beta"])
    assert list(data["rows"][0]["kept"]) == [*FILTERS, "another"]
    assert probe_page({"atlas": data}).count("<td><code>top_k 50</code></td>") == 2
