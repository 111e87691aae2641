"""A certificate says whether a token can be the most likely one, and is right about it."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from samplerfuzz.probe import hull
from samplerfuzz.probe.hull import INTERIOR, OPEN, VERTEX, certificates


@pytest.mark.parametrize(("count", "width"), [(12, 2), (60, 3), (120, 4)])
def test_certificates_agree_with_the_hull(monkeypatch, count, width):
    monkeypatch.setattr(hull, "_SOLVED", count)
    rows = np.random.default_rng(count).normal(size=(count, width))
    vertices = set(ConvexHull(rows).vertices.tolist())
    for found in certificates(rows, range(count)):
        assert found.kind == (VERTEX if found.token in vertices else INTERIOR), found


def test_one_of_two_equal_rows_is_no_vertex():
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert [found.kind for found in certificates(rows, range(4))] == [INTERIOR, INTERIOR, VERTEX, VERTEX]


def test_what_is_too_hard_stays_open(monkeypatch):
    monkeypatch.setattr(hull, "_SOLVED", 0)
    rows = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0], [0.1, 0.0]])
    assert [found.kind for found in certificates(rows, [4, 0])] == [OPEN, VERTEX]


def test_in_many_dimensions_every_row_is_a_vertex():
    rows = np.random.default_rng(0).normal(size=(300, 64))
    assert {found.kind for found in certificates(rows, range(300))} == {VERTEX}
