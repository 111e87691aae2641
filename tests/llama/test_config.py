"""A configuration that cannot be is refused with its field, its value and what was expected."""

import dataclasses

import pytest
from tiny_llama import CASES

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.llama import LlamaModel, RopeScaling, random_weights


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 0}, "vocab_size = 0: expected an integer >= 1"),
        ({"num_layers": 2.0}, "num_layers = 2.0: expected an integer >= 1"),
        ({"num_layers": True}, "num_layers = True: expected an integer >= 1"),
        ({"head_dim": 7}, "head_dim = 7: expected an even integer"),
        ({"num_kv_heads": 3}, "num_kv_heads = 3: expected a divisor of num_heads = 4"),
        ({"rope_theta": float("inf")}, "rope_theta = inf: expected a finite number > 0"),
        ({"rms_norm_eps": 0.0}, "rms_norm_eps = 0.0"),
        ({"rope_factors": (1.0,)}, "rope_factors = .* 4 finite numbers > 0"),
        ({"rope_factors": (1.0, 1.0, 0.0, 1.0)}, "rope_factors"),
    ],
)
def test_an_impossible_field_is_refused(changes, message):
    with pytest.raises(ParameterError, match=message):
        dataclasses.replace(CASES["mha_tied"], **changes)


def test_scaling_and_factors_exclude_each_other():
    with pytest.raises(ParameterError, match="expected None where rope_scaling is given"):
        dataclasses.replace(CASES["gqa_llama3_rope"], rope_factors=(1.0,) * 8)


def test_the_bounds_of_scaling_are_in_order():
    with pytest.raises(ParameterError, match=r"high_freq_factor = 1\.0: expected more than low_freq_factor = 4\.0"):
        RopeScaling(factor=8.0, low_freq_factor=4.0, high_freq_factor=1.0, original_max_position=64)


def test_weights_of_another_shape_are_refused():
    import jax

    config = CASES["mha_tied"]
    weights = random_weights(config, jax.random.key(0))
    with pytest.raises(ParameterError, match=r"weights\['down'\]: expected shape \(3, 32, 56\), found \(3, 56, 32\)"):
        LlamaModel(config, {**weights, "down": weights["down"].swapaxes(1, 2)})
    with pytest.raises(ParameterError, match=r"missing \['down'\], unknown \['up_down'\]"):
        LlamaModel(config, {**{name: value for name, value in weights.items() if name != "down"}, "up_down": weights["down"]})
    with pytest.raises(ParameterError, match="expected one dtype"):
        LlamaModel(config, {**weights, "down": weights["down"].astype("bfloat16")})
