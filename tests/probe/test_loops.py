"""Loops are found in linear time, and are those that the definition names."""

from hypothesis import given
from hypothesis import strategies as st

from samplerfuzz.probe.loops import Loop, loop_of


def by_definition(ids):
    for period in range(1, len(ids) // 2 + 1):
        start = len(ids) - period
        while start > 0 and ids[start - 1] == ids[start - 1 + period]:
            start -= 1
        if len(ids) - start >= 2 * period:
            return Loop(start=start, period=period)
    return Loop(start=0, period=0)


@given(st.lists(st.integers(0, 2), max_size=40))
def test_a_loop_is_the_shortest_period_that_goes_round_twice(ids):
    assert loop_of(ids) == by_definition(ids)


@given(st.lists(st.integers(0, 3), max_size=9), st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(2, 6))
def test_a_text_that_was_made_to_loop_loops(prefix, period, times):
    found = loop_of(prefix + period * times)
    assert 0 < found.period <= len(period)
    assert found == by_definition(prefix + period * times)


def test_a_text_that_nearly_loops_costs_no_more_than_a_long_one():
    ids = ([0] * 20_000) + [1] + [0] * 20_000 + [2]
    assert loop_of(ids) == Loop(start=0, period=0)
