"""The oracle against all subsets: what some rule of the definition keeps is possible, what all keep is must."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from samplerfuzz.oracle import Reading, believe, precision

ROWS = st.lists(st.integers(-3, 3), min_size=1, max_size=5)


def _orders(keys):
    """All descending orders of the keys: every way to break ties."""
    for order in itertools.permutations(range(len(keys))):
        if all(keys[a] >= keys[b] for a, b in itertools.pairwise(order)):
            yield order


@given(ROWS, st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_top_k_contains_every_tie_break(row, k):
    belief = believe(np.array([row], np.float32), ["top_k"], {"top_k": np.array([float(k)])}, arithmetic=precision("float32"))
    kept = [set(order[:k]) for order in _orders(row)]
    assert set(np.flatnonzero(belief.must[0])) == set.intersection(*kept)
    assert set(np.flatnonzero(belief.possible[0])) == set.union(*kept)


@given(ROWS, st.floats(0.01, 0.99))
@settings(max_examples=200, deadline=None)
def test_top_p_contains_every_tie_break(row, mass):
    z = np.array(row, float)
    p = np.exp(z - z.max())
    p /= p.sum()
    belief = believe(np.array([row], np.float32), ["top_p"], {"top_p": np.array([mass])}, arithmetic=precision("float32"))
    kept = []
    for order in _orders(row):
        before = np.concatenate([[0], np.cumsum(p[list(order)])[:-1]])
        kept.append({token for token, b in zip(order, before, strict=True) if b < mass})
    # keep-all is fair as well: the union of what the tie breaks keep
    assert set(np.flatnonzero(belief.must[0])) <= set.intersection(*kept)
    assert set.union(*kept) <= set(np.flatnonzero(belief.possible[0]))


TIE_RULES = {"low": lambda i: i, "high": lambda i: -i}


def _believe(row, order, rule, **parameters):
    settled = {(order[0], name): value for name, value in rule.items()}
    values = {name: np.array([float(value)]) for name, value in parameters.items()}
    return believe(np.array([row], np.float32), order, values, arithmetic=precision("float32"), reading=Reading(settled=settled))


@given(ROWS, st.integers(1, 5), st.sampled_from(sorted(TIE_RULES)))
@settings(max_examples=200, deadline=None)
def test_top_k_with_a_tie_rule_is_one_set(row, k, rule):
    belief = _believe(row, ["top_k"], {"ties": rule}, top_k=k)
    expected = sorted(range(len(row)), key=lambda i: (-row[i], TIE_RULES[rule](i)))[:k]
    assert set(np.flatnonzero(belief.must[0])) == set(expected)
    assert not belief.may.any()


@given(ROWS, st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_top_k_that_keeps_all_ties_or_cuts_them(row, k):
    cut = sorted(row, reverse=True)[min(k, len(row)) - 1]
    every = {i for i, z in enumerate(row) if z >= cut}
    belief = _believe(row, ["top_k"], {"ties": "all"}, top_k=k)
    assert set(np.flatnonzero(belief.must[0])) == every
    belief = _believe(row, ["top_k"], {"ties": "cut"}, top_k=k)
    assert set(np.flatnonzero(belief.possible[0])) == every
    assert belief.least[0] == belief.most[0] == min(k, len(row))


@given(ROWS, st.floats(0.01, 0.99), st.sampled_from(sorted(TIE_RULES)))
@settings(max_examples=200, deadline=None)
def test_top_p_with_a_tie_rule_is_one_set_but_for_rounding(row, mass, rule):
    z = np.array(row, float)
    p = np.exp(z - z.max())
    p /= p.sum()
    order = sorted(range(len(row)), key=lambda i: (-row[i], TIE_RULES[rule](i)))
    before = np.concatenate([[0], np.cumsum(p[order])[:-1]])
    belief = _believe(row, ["top_p"], {"ties": rule}, top_p=mass)
    kept = {token for token, b in zip(order, before, strict=True) if b < mass}
    assert set(np.flatnonzero(belief.must[0])) <= kept <= set(np.flatnonzero(belief.possible[0]))
    assert belief.least[0] <= len(kept) <= belief.most[0]
    if np.abs(before - mass).min() > 1e-4:
        assert not belief.may.any()


def test_tokens_tie_only_if_they_were_alike():
    """Two logits that a large temperature brings within the blur of exp are no tie: an implementation may still tell them apart."""
    rule = {("top_k", "ties"): "all"}
    values = {"temperature": np.array([1e38]), "top_k": np.array([1.0])}
    row = np.array([[0.0, 2.0, 2.0]], np.float32)
    belief = believe(row, ["temperature", "top_k"], values, arithmetic=precision("float32"), reading=Reading(settled=rule))
    assert belief.may[0].tolist() == [True, True, True]
    row = np.array([[-1e3, 2.0, 2.0]], np.float32)
    belief = believe(row, ["top_k"], {"top_k": np.array([1.0])}, arithmetic=precision("float32"), reading=Reading(settled=rule))
    assert belief.must[0].tolist() == [False, True, True]
