"""Shapes of calls: large where the target is quick, few where every new one is compiled, a whole vocabulary now and then."""

import numpy as np

from samplerfuzz.engine.pace import LARGE, Pace


def shapes(cost, *, calls=400, most_rows=2048):
    """Return the shapes that a target whose calls take `cost(rows, size, is_new)` seconds is given."""
    pace, rng, elapsed, seen, given = Pace(sizes=(8, 16, 32), most_rows=most_rows), np.random.default_rng(0), 0.0, set(), []
    for _ in range(calls):
        rows, size = pace.shape(rng, elapsed)
        seconds = cost(rows, size, (rows, size) not in seen)
        seen.add((rows, size))
        elapsed += seconds
        pace.answered(rows, size, seconds)
        pace.took(rows, size, seconds)
        given.append((rows, size))
    return given


def test_a_quick_target_gets_large_batches():
    assert max(rows for rows, _ in shapes(lambda rows, size, new: 1e-6 * rows)) == 2048


def test_a_slow_target_gets_small_batches():
    assert max(rows for rows, _ in shapes(lambda rows, size, new: 0.1 * rows)[50:]) <= 16


def test_a_target_that_compiles_every_shape_is_kept_to_those_it_knows():
    given = shapes(lambda rows, size, new: 1.0 if new else 0.001, calls=20_000)
    # those of the first calls, until the same shape came again, and then a quarter of the time
    assert 3 <= len(set(given)) < 12
    assert len(set(shapes(lambda rows, size, new: 0.001))) > 15


def test_what_differs_from_call_to_call_is_no_compilation():
    seconds = iter(np.random.default_rng(1).uniform(0.1, 0.5, 1000))
    assert len(set(shapes(lambda rows, size, new: next(seconds), calls=200))) > 15


def test_a_new_process_knows_no_shape():
    pace, rng = Pace(sizes=(8, 16, 32), most_rows=2048), np.random.default_rng(0)
    for size in (8, 16, 32):
        pace.took(4, size, 1.0)
        for seconds in (1.0, 0.001):
            pace.answered(4, size, seconds)
    assert len({pace.shape(rng, 100.0) for _ in range(100)}) > 3
    pace.forget()
    for size in (8, 16, 32):
        for _ in range(3):
            pace.answered(4, size, 10.0)
    assert {pace.shape(rng, 100.0) for _ in range(100)} == {(4, 8), (4, 16), (4, 32)}


def test_rows_that_are_drawn_from_keep_to_few_sizes_where_every_shape_is_compiled():
    pace, rng = Pace(sizes=(8,), most_rows=2048), np.random.default_rng(0)
    assert pace.drawn_from(rng, (2, 3, 8, 16, 32), 0.0) == 8
    for rows in (1, 256, 512):
        for seconds in (1.0, 0.001):
            pace.answered(rows, 8, seconds)
    assert {pace.drawn_from(rng, (2, 3, 8, 16, 32), 4.0) for _ in range(50)} == {8}
    assert {pace.drawn_from(rng, (2, 3, 8, 16, 32), 100.0) for _ in range(50)} == {2, 3, 8, 16, 32}


def test_whole_vocabularies_come_late_and_take_little_of_the_time():
    def cost(rows, size, new):
        return 1e-6 * rows * size + 0.01

    given = shapes(cost, calls=4000)
    seconds = np.cumsum([cost(*shape, new=False) for shape in given])
    large = np.array([size in LARGE for _, size in given])
    assert {size for _, size in given if size in LARGE} == set(LARGE)
    assert not large[seconds < 6.0].any()
    assert np.diff(seconds, prepend=0.0)[large].sum() < 0.15 * seconds[-1]


def test_where_every_shape_is_compiled_the_rows_grow_in_few_steps():
    given = shapes(lambda rows, size, new: 1.0 if new else 0.001, calls=60_000)
    assert np.mean([rows == 2048 for rows, _ in given[30_000:]]) > 0.5
