"""The chain of an engine: order, sentinels, greedy, joint filters, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from samplerfuzz import samplers
from samplerfuzz.core.errors import ParameterError

INF = np.inf
ROW = np.log(np.array([[0.4, 0.3, 0.2, 0.1]], np.float32))


def kept(chain, row=ROW):
    return [np.flatnonzero(r > -INF).tolist() for r in np.asarray(chain(np.atleast_2d(np.array(row, np.float32)))[0])]


def names(chain):
    return [type(stage).__name__ for stage in chain.stages]


def test_the_order_is_the_engine_s_and_not_the_caller_s():
    given = {"temperature": 0.8, "top_p": 0.9, "min_p": 0.1, "top_k": 40}
    assert names(samplers.from_dialect("llama.cpp", **given)) == ["TopK", "TopP", "MinP", "Temperature"]
    assert names(samplers.from_dialect("vllm", **given)) == ["Temperature", "MinP", "TopK", "TopP"]
    assert names(samplers.from_dialect("mlx-lm", **given)) == ["TopP", "MinP", "TopK", "Temperature"]
    assert names(samplers.from_dialect("sglang", **given)) == ["Temperature", "Joint"]


def test_top_p_is_measured_on_what_the_engine_measures_it_on():
    assert kept(samplers.from_dialect("vllm", top_k=2, top_p=0.5)) == [[0]]
    assert kept(samplers.from_dialect("sglang", top_k=2, top_p=0.5)) == [[0, 1]]


def test_rows_have_values_of_their_own():
    chain = samplers.from_dialect("vllm", temperature=np.array([0.0, 1.0]), top_k=np.array([2, -1]))
    assert kept(chain, np.repeat(ROW, 2, 0)) == [[0], [0, 1, 2, 3]]


def test_greedy_comes_before_the_filters_where_the_engine_has_it_there():
    given = {"temperature": np.array([0.0, 1.0]), "xtc_threshold": 0.15, "xtc_probability": 1.0}
    rows = np.repeat(ROW, 2, 0)
    assert kept(samplers.from_dialect("mlx-lm", **given), rows) == [[0], [2, 3]]
    assert kept(samplers.from_dialect("llama.cpp", **given), rows) == [[2], [2, 3]]


def test_a_companion_has_the_default_of_the_engine():
    seen = samplers.State(*(jnp.array(x, jnp.int32) for x in ([[0] + [1] * 30], [31])))
    out = samplers.from_dialect("mlx-lm", presence_penalty=1.0)(np.zeros((1, 3), np.float32), seen)[0]
    assert np.asarray(out).tolist() == [[0, -1, 0]], "the window is 20 tokens"
    assert kept(samplers.from_dialect("llama.cpp", xtc_threshold=0.15)) == [[0, 1, 2, 3]], "the probability of XTC is 0"


def test_koboldcpp_never_looks_beyond_its_best_tokens():
    row = np.zeros((1, 3001), np.float32)
    row[0, 0] = -1.0
    assert len(kept(samplers.from_dialect("koboldcpp", temperature=1.0), row)[0]) == 3000
    assert names(samplers.from_dialect("koboldcpp", logit_bias=np.zeros(3001), top_k=2)) == ["LogitBias", "TopK", "TopK"]


def test_a_coin_reaches_xtc():
    given = {"xtc_threshold": 0.15, "xtc_probability": 0.5}
    assert kept(samplers.from_dialect("llama.cpp", **given, coin=0.9)) == [[0, 1, 2, 3]]
    assert kept(samplers.from_dialect("llama.cpp", **given, coin=0.1)) == [[2, 3]]


def test_values_of_a_chain_from_a_dialect_do_not_compile_it_anew():
    traced = []

    @jax.jit
    def run(chain, logits):
        traced.append(1)
        return chain(logits)[0]

    for k, p in ((1, 0.5), (3, 0.9), (0, 1.0)):
        run(samplers.from_dialect("llama.cpp", top_k=k, top_p=p, temperature=0.7), ROW)
    assert len(traced) == 1


@pytest.mark.parametrize(
    ("misuse", "words"),
    [
        (lambda: samplers.from_dialect("vllm", top_k=-2), "top_k=-2 is refused by vllm"),
        (lambda: samplers.from_dialect("vllm", mirostat=2), "has no parameter 'mirostat'; it has"),
        (lambda: samplers.from_dialect("mlx-lm", top_k=5, vocabulary=5), "V = 5"),
        (lambda: samplers.from_dialect("gemma", top_k=2, top_p=0.5), "one filter a call, and top_k, top_p were given"),
        (lambda: samplers.from_dialect("vllm", top_p=0.5, coin=0.5), "coin was given and no stage"),
        (lambda: samplers.from_dialect("vllm", top_p="half"), "expected a number"),
        (lambda: jax.jit(lambda p: samplers.from_dialect("vllm", top_p=p)(ROW)[0])(0.5), r"outside of jax\.jit"),
        (lambda: samplers.from_dialect("llama.cpp", penalty_last_n=3), "penalty_last_n"),
    ],
)
def test_misuse_is_refused_in_words(misuse, words):
    with pytest.raises(ParameterError, match=words):
        misuse()


def test_one_filter_may_stand_beside_one_that_is_off():
    assert kept(samplers.from_dialect("gemma", top_k=2, top_p=1.0)) == [[0, 1]]
