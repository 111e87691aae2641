"""Two targets on the same rows: what differs is put down to who is wrong, to a convention or to rounding."""

import numpy as np
import pytest

import samplerfuzz as sf
from samplerfuzz.core.errors import UsageError
from samplerfuzz.engine.compare import BOTH_FAIR, compare
from samplerfuzz.targets.plain import PlainTarget


def softmax(logits):
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def checked(logits, k):
    if k < 1 or np.isnan(logits).any() or np.isposinf(logits).any() or (logits == -np.inf).all(-1).any():
        raise ValueError("top_k or logits")


@sf.target(order=["top_k"], returns="logits", dialect="x-transformers")
def first_of_ties(logits, top_k):
    checked(logits, top_k)
    ranks = np.argsort(np.argsort(-logits, -1, kind="stable"), -1, kind="stable")
    return np.where(ranks < top_k, logits, -np.inf)


@sf.target(order=["top_k"], returns="logits", dialect="transformers")
def all_of_ties(logits, top_k):
    checked(logits, top_k)
    least = -np.sort(-logits, -1)[:, min(top_k, logits.shape[1]) - 1][:, None]
    return np.where(logits >= least, logits, -np.inf)


@sf.target(order=["top_k"], returns="logits", dialect="transformers")
def one_too_many(logits, top_k):
    return all_of_ties(logits, top_k + 1)


@sf.target(order=["top_k"], returns="probs")
def as_probabilities(logits, top_k):
    return softmax(all_of_ties(logits, top_k))


@sf.target(order=["top_k"], returns="logits")
def refuses_large(logits, top_k):
    if top_k > 3:
        raise ValueError("top_k above 3")
    return all_of_ties(logits, top_k)


def compared(first, second):
    one, other = (PlainTarget(f, locator=f.__name__) for f in (first, second))
    return compare(one, other, seed=7, seconds=60, cases=1500)


def test_a_target_agrees_with_itself_in_any_form():
    result = compared(all_of_ties, as_probabilities)
    assert result.agree > 800
    assert not result.differ


def test_a_convention_explains_what_two_dialects_do_differently():
    result = compared(all_of_ties, first_of_ties)
    assert set(result.differ) <= {"top_k.ties: all against cut", BOTH_FAIR}
    assert result.differ["top_k.ties: all against cut"] > 10
    example = result.examples["top_k.ties: all against cut"]
    kept = [(answer > 0).sum() for answer in example.answers]
    assert kept[0] > kept[1]


@pytest.mark.parametrize(("first", "second", "guilty"), [(one_too_many, all_of_ties, "first"), (all_of_ties, one_too_many, "second")])
def test_who_is_wrong_by_the_oracle_is_named(first, second, guilty):
    result = compared(first, second)
    assert result.differ[f"{guilty} is wrong"] > 100
    assert not [reason for reason in result.differ if reason.endswith("wrong") and not reason.startswith(guilty)]
    assert result.examples[f"{guilty} is wrong"].case.vocabulary == 2


def test_what_only_one_of_them_refuses_is_told():
    result = compared(all_of_ties, refuses_large)
    assert result.differ["only the second refuses"] > 50
    assert "top_k above 3" in result.examples["only the second refuses"].answers[1]


def test_a_parameter_that_one_of_them_lacks_does_nothing():
    @sf.target(order=["temperature", "top_k"], returns="logits")
    def hot(logits, temperature, top_k):
        return all_of_ties(logits / temperature, top_k)

    result = compared(hot, all_of_ties)
    assert result.agree > 800
    assert set(result.differ) <= {BOTH_FAIR}


@pytest.mark.parametrize("form", ["tokens", "other"])
def test_what_cannot_be_compared_is_refused(form):
    @sf.target(order=["top_p"], returns="tokens" if form == "tokens" else "probs")
    def other(logits, top_p, seed):
        raise AssertionError

    with pytest.raises(UsageError, match="draws tokens; compare takes" if form == "tokens" else "share no parameter"):
        compared(all_of_ties, other)


def softened(logits, temperature, top_p, *, first):
    if not 0 < top_p <= 1 or not 0 < temperature < np.inf or not np.isfinite(logits.max(-1)).all() or np.isnan(logits).any():
        raise ValueError("temperature, top_p or logits")
    z = logits.astype(np.float64)
    p = softmax(z / temperature if first else z)
    order = np.argsort(-p, -1, kind="stable")
    before = np.cumsum(np.take_along_axis(p, order, -1), -1) - np.take_along_axis(p, order, -1)
    gone = np.zeros(p.shape, bool)
    np.put_along_axis(gone, order, (before >= top_p) if top_p < 1 else np.zeros(p.shape, bool), -1)
    return np.where(gone, -np.inf, z / temperature)


@sf.target(order=["temperature", "top_p"], returns="logits")
def temperature_first(logits, temperature, top_p):
    return softened(logits, temperature, top_p, first=True)


@sf.target(order=["top_p", "temperature"], returns="logits")
def temperature_last(logits, temperature, top_p):
    return softened(logits, temperature, top_p, first=False)


def test_an_order_is_named_where_the_other_order_would_be_wrong():
    result = compared(temperature_first, temperature_last)
    assert result.differ["order: temperature > top_p against top_p > temperature"] > 50
    assert not [reason for reason in result.differ if reason.endswith("wrong")]
