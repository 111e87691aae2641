"""Shrinking keeps what shows and finds the smallest case that shows it."""

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.engine.shrink import shrink


def test_what_a_row_draws_alone_is_looked_for_with_other_seeds():
    case = Case(logits=np.ones((6, 4), np.float32), seeds=np.full(6, 1234))

    def fails(candidate):
        """A defect that shows in a batch with its seed, and alone only where the draw happens to fall there."""
        return (candidate.rows == 6 and candidate.seeds[0] == 1234) or (candidate.rows == 1 and candidate.seeds[0] == 5)

    small = shrink(case, fails)
    assert (small.rows, int(small.seeds[0])) == (1, 5)
    assert shrink(case.with_(seeds=None), lambda candidate: candidate.rows == 6).rows == 6


def test_a_whole_number_stays_one():
    case = Case(logits=np.zeros((1, 4), np.float32), parameters={"top_k": np.array([1234567.0]), "top_p": np.array([0.123456])})
    seen = []

    def fails(candidate):
        seen.append(candidate.parameters)
        return candidate.parameters["top_k"][0] not in (0, 1, 2) and candidate.parameters["top_p"][0] < 1

    small = shrink(case, fails)
    assert small.parameters["top_k"] == 1234567
    assert all(float(given["top_k"][0]).is_integer() for given in seen)
    assert any(given["top_p"][0] == 0.5 for given in seen)


def test_a_batch_shrinks_though_its_peaked_row_shows_seldom():
    case = Case(logits=np.array([[0, 1], [2, 3], [1, 0], [3, 1], [-7, -4]], np.float32), seeds=np.arange(5))

    def fails(candidate):
        """A defect that a peaked row shows only by chance, here in the five rows as they were met, and a flat row in every draw."""
        met = np.array_equal(candidate.logits[-1:], case.logits[-1:]) and candidate.rows == 5
        return candidate.vocabulary == 2 and candidate.seeds[-1] == 4 and (met or (candidate.rows > 1 and not np.ptp(candidate.logits[-1])))

    assert shrink(case, fails).rows == 2
