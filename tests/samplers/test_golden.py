"""One golden row a technique and more: exact kept sets on vocabularies that a reader can check."""

import jax.numpy as jnp
import numpy as np
import pytest

from samplerfuzz import samplers
from samplerfuzz.core.registry import TECHNIQUES

INF = np.inf
LESS = np.log(2) / (0.5 + (1.5 / np.log2(3)) ** 2)  # H = 1.5 ln 2 of ln 3; T' = 0.5 + 1·(H / ln 3)²


def logs(*p):
    return [float(np.log(x)) if x else -INF for x in p]


GOLDEN = [
    ("temperature", {"temperature": 0.5}, [1.0, 2.0, -INF], [-2.0, 0.0, -INF]),
    ("temperature", {"temperature": 0.0}, [1.0, 3.0, 3.0], [-INF, 3.0, -INF]),
    ("temperature", {"temperature": -1.0}, [1.0, 2.0, -INF], [0.0, -1.0, -INF]),
    ("temperature", {"temperature": INF}, [1.0, 2.0, -INF], [0.0, 0.0, -INF]),
    ("temperature", {"temperature": -1e-45}, [1.0, 2.0, -INF], [0.0, -3.4028235e38, -INF]),
    ("top_k", {"top_k": 2}, [1.0, 3.0, 2.0], [-INF, 3.0, 2.0]),
    ("top_k", {"top_k": 0}, [1.0, 3.0, 2.0], [1.0, 3.0, 2.0]),
    ("top_k", {"top_k": -1}, [1.0, 3.0, 2.0], [1.0, 3.0, 2.0]),
    ("top_k", {"top_k": 9}, [1.0, 3.0, 2.0], [1.0, 3.0, 2.0]),
    ("top_k", {"top_k": 1}, [1e-40, 2e-40, 0.0], [-INF, 2e-40, -INF]),
    ("top_p", {"top_p": 0.7}, logs(0.6, 0.4), logs(0.6, 0.4)),
    ("top_p", {"top_p": 0.55}, logs(0.6, 0.4), logs(0.6, 0)),
    ("top_p", {"top_p": 1e-8}, logs(0.6, 0.4), logs(0.6, 0)),
    ("top_p", {"top_p": 0.0}, logs(0.4, 0.6), logs(0, 0.6)),
    ("min_p", {"min_p": 0.5}, logs(0.5, 0.3, 0.2), logs(0.5, 0.3, 0)),
    ("min_p", {"min_p": 2.0}, logs(0.5, 0.3, 0.2), logs(0.5, 0, 0)),
    ("typical_p", {"typical_p": 0.2}, logs(0.5, 0.3, 0.2), logs(0, 0.3, 0)),
    ("top_n_sigma", {"top_n_sigma": 1.0}, [0.0, 0.0, 0.0, 4.0], [-INF, -INF, -INF, 4.0]),
    ("top_n_sigma", {"top_n_sigma": 0.0}, [0.0, 4.0], [0.0, 4.0]),
    ("xtc", {"xtc_threshold": 0.25}, logs(0.5, 0.3, 0.2), logs(0, 0.3, 0.2)),
    ("xtc", {"xtc_threshold": 0.25, "xtc_probability": 0.0}, logs(0.5, 0.3, 0.2), logs(0.5, 0.3, 0.2)),
    ("repetition_penalty", {"repetition_penalty": 2.0}, [2.0, -2.0, 1.0], [1.0, -4.0, 1.0]),
    ("repetition_penalty", {"repetition_penalty": 2.0, "penalty_last_n": 1}, [2.0, -2.0, 1.0], [2.0, -4.0, 1.0]),
    ("presence_penalty", {"presence_penalty": 0.5}, [2.0, -2.0, 1.0], [1.5, -2.5, 1.0]),
    ("frequency_penalty", {"frequency_penalty": 0.5}, [2.0, -2.0, 1.0], [1.5, -3.0, 1.0]),
    ("dynatemp", {"dynatemp_range": 0.5, "temperature": 1.5}, [1.0, 1.0, -INF], [0.0, 0.0, -INF]),
    ("dynatemp", {"dynatemp_range": 0.5, "dynatemp_exponent": 2.0}, logs(0.5, 0.25, 0.25), [0.0, -LESS, -LESS]),
    ("dynatemp", {"dynatemp_range": 2.0, "temperature": 1.0}, [1e4, 0.0], [1e4, -INF]),
    ("dynatemp", {"dynatemp_range": 0.0, "temperature": -1.0}, [1.0, 2.0, -INF], [0.0, -1.0, -INF]),
    ("smoothing", {"smoothing_factor": 0.5}, [3.0, 2.0, 1.0, -INF], [0.0, -0.5, -2.0, -INF]),
    ("smoothing", {"smoothing_factor": 0.5, "smoothing_curve": 3.0}, [3.0, 2.0, 1.0], [0.0, -0.5, -4.0]),
    ("smoothing", {"smoothing_factor": 1.0, "smoothing_curve": 2.0}, [3e38, -3e38, -INF], [0.0, -3.4028235e38, -INF]),
    ("epsilon_cutoff", {"epsilon_cutoff": 0.25}, logs(0.5, 0.25, 0.125, 0.125), logs(0.5, 0.25, 0, 0)),
    ("epsilon_cutoff", {"epsilon_cutoff": 0.9}, logs(0.5, 0.5), logs(0.5, 0.5)),
    ("epsilon_cutoff", {"epsilon_cutoff": 0.0}, logs(0.9, 0.1), logs(0.9, 0.1)),
    ("eta_cutoff", {"eta_cutoff": 0.2}, logs(0.5, 0.25, 0.15, 0.1), logs(0.5, 0.25, 0.15, 0)),  # √0.2·e^−1.21 = 0.134
    ("eta_cutoff", {"eta_cutoff": 0.02}, logs(0.96, 0.03, 0.01), logs(0.96, 0.03, 0)),  # H is small: ε itself
    ("top_a", {"top_a": 0.5}, logs(0.5, 0.375, 0.125), logs(0.5, 0.375, 0.125)),
    ("top_a", {"top_a": 0.51}, logs(0.5, 0.375, 0.125), logs(0.5, 0.375, 0)),
    ("top_a", {"top_a": 1e6}, logs(0.5, 0.375, 0.125), logs(0.5, 0, 0)),
    ("tfs_z", {"tfs_z": 0.9}, logs(0.4, 0.35, 0.2, 0.03, 0.02), logs(0.4, 0.35, 0, 0, 0)),  # d = 0.10, 0.02, 0.16
    ("tfs_z", {"tfs_z": 0.4}, logs(0.4, 0.35, 0.2, 0.03, 0.02), logs(0.4, 0, 0, 0, 0)),
    ("tfs_z", {"tfs_z": 0.1}, logs(0.4, 0.35, 0.2, 0.03, 0.02, 0), logs(0.4, 0, 0, 0, 0, 0)),
    ("tfs_z", {"tfs_z": 0.5}, [2.0, 2.0, 2.0, 2.0], [2.0, 2.0, 2.0, 2.0]),
    ("top_h", {"top_h": 0.6}, logs(0.5, 0.25, 0.15, 0.1), logs(0.5, 0.25, 0, 0)),  # H = 1.21, of two 0.64, of three 0.98
    ("top_h", {"top_h": 0.9}, logs(0.5, 0.25, 0.15, 0.1), logs(0.5, 0.25, 0.15, 0)),
    ("top_h", {"top_h": 0.1}, [1.0, 1.0, 0.0], [1.0, 1.0, -INF]),
    ("top_h", {"top_h": 1.0}, logs(0.5, 0.5, 0), logs(0.5, 0.5, 0)),
    ("p_less", {"p_less": 1}, logs(0.5, 0.35, 0.1, 0.05), logs(0.5, 0, 0, 0)),  # Σp² = 0.385
    ("p_less", {"p_less": 1}, logs(0.4, 0.4, 0.2), logs(0.4, 0.4, 0)),
    ("p_less", {"p_less": 0}, logs(0.4, 0.4, 0.2), logs(0.4, 0.4, 0.2)),
    ("p_less_norm", {"p_less_norm": 1}, logs(0.5, 0.35, 0.1, 0.05), logs(0.5, 0.35, 0, 0)),  # (4·0.385 − 1)/3 = 0.18
    ("p_less_norm", {"p_less_norm": 1}, logs(0.5, 0.35, 0.15, 0, 0), logs(0.5, 0.35, 0.15, 0, 0)),  # N = 3: (3·0.395 − 1)/2 = 0.0925
    ("allowed_tokens", {"allowed_tokens": np.array([True, False, True])}, [1.0, 2.0, -INF], [1.0, -INF, -INF]),
    ("forbidden_tokens", {"forbidden_tokens": np.array([True, False, True])}, [1.0, 2.0, -INF], [-INF, 2.0, -INF]),
    ("top_p", {"top_p": 0.1, "min_tokens_to_keep": 2}, logs(0.5, 0.3, 0.2), logs(0.5, 0.3, 0)),
    ("typical_p", {"typical_p": 0.1, "min_tokens_to_keep": 2}, logs(0.4, 0.2, 0.2, 0.2), logs(0, 0.2, 0.2, 0.2)),
    ("xtc", {"xtc_threshold": 0.25, "min_tokens_to_keep": 3}, logs(0.5, 0.3, 0.2), logs(0.5, 0.3, 0.2)),
    ("xtc", {"xtc_threshold": 0.25, "min_tokens_to_keep": 2}, logs(0.5, 0.3, 0.2), logs(0, 0.3, 0.2)),
    # the newest token also stands before it, followed by itself: L = 1
    ("dry", {"dry_multiplier": 0.5, "dry_base": 2.0, "dry_allowed_length": 1}, [2.0, -2.0, 1.0], [2.0, -2.5, 1.0]),
    ("dry", {"dry_multiplier": 0.5, "dry_base": 2.0, "dry_allowed_length": 2}, [2.0, -2.0, 1.0], [2.0, -2.0, 1.0]),
    ("dry", {"dry_multiplier": 0.5, "dry_base": 2.0, "dry_allowed_length": 1, "dry_penalty_last_n": 1}, [2.0, -2.0, 1.0], [2.0, -2.0, 1.0]),
    # μ = 2 bits
    ("mirostat", {"mirostat_tau": 1.0}, logs(0.5, 0.25, 0.125, 0.125), logs(0.5, 0.25, 0, 0)),
    ("mirostat", {"mirostat_tau": 0.1}, logs(0.25, 0.75), logs(0, 0.75)),
    ("mirostat", {"mirostat_tau": 0.1, "mirostat": 0}, logs(0.25, 0.75), logs(0.25, 0.75)),
    # s = 1, so k = 2^μ / ln 2, which is 1.7 and 2.04
    ("mirostat", {"mirostat_tau": 0.1, "mirostat": 1}, logs(0.5, 0.25, 0), logs(0.5, 0, 0)),
    ("mirostat", {"mirostat_tau": 0.25, "mirostat": 1}, logs(0.5, 0.25, 0), logs(0.5, 0.25, 0)),
    # s = 0: k is without bound where 2^μ > N − 1
    ("mirostat", {"mirostat_tau": 0.55, "mirostat": 1}, [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]),
    # d = 5/3 and 0: 5 − 10·(25/9)/(8/3)
    ("adaptive_p", {"adaptive_target": 0.25}, logs(0.75, 0.25, 0), [5 - 125 / 12, 5.0, -INF]),
    ("adaptive_p", {"adaptive_target": -1.0}, logs(0.75, 0.25, 0), logs(0.75, 0.25, 0)),
    ("logit_bias", {"logit_bias": np.array([0.0, 3.0, 5.0], np.float32)}, [1.0, 1.0, -INF], [1.0, 4.0, -INF]),
]


@pytest.mark.parametrize(("name", "parameters", "row", "expected"), GOLDEN)
def test_golden(name, parameters, row, expected):
    got = samplers.apply(
        [name],
        parameters,
        jnp.array([row], jnp.float32),
        history=jnp.array([[0, 1, 1]], jnp.int32),
        history_lengths=jnp.array([3], jnp.int32),
    )
    np.testing.assert_allclose(np.asarray(got)[0], np.array(expected, np.float32), rtol=1e-6)


def test_every_technique_has_a_golden_row():
    assert {name for name, *_ in GOLDEN} == set(TECHNIQUES)
