"""The oracle against all subsets: what some rule of the definition keeps is possible, what all keep is must."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from samplerfuzz.oracle import believe, precision

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
