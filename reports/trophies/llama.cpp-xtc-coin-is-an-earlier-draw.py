"""MEDIUM: the coin of XTC is the uniform number of an earlier draw

claim    steps draw independently: whether XTC fires at the second step does not depend on what was drawn at the first
target   llama.cpp: llama_sampler_init_xtc and llama_sampler_init_dist in one chain, with one seed as common_sampler_init gives them

usage    python llama.cpp-xtc-coin-is-an-earlier-draw.py
exit     1 the defect shows, 0 it does not, 2 the target cannot be loaded

Runs without samplerfuzz; written by hand. Seen with llama-cpp-python 0.3.36.
"""

import ctypes
import sys

import numpy as np

try:
    import llama_cpp
except ImportError as error:
    print(f"the target cannot be loaded: {error}")
    sys.exit(2)

SEEDS = 4000
FLAT = [0.0] * 20  # no token reaches the threshold: XTC does nothing, the draw is even
PAIR = [0.0, 0.1]  # both reach it: where XTC fires, one token is left


def made(seed):
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_xtc(0.5, 0.1, 0, seed))
    llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_dist(seed))
    return chain


def step(chain, row):
    data = (llama_cpp.llama_token_data * len(row))(*(llama_cpp.llama_token_data(i, z, 0.0) for i, z in enumerate(row)))
    array = llama_cpp.llama_token_data_array(data, len(row), -1, False)
    llama_cpp.llama_sampler_apply(chain, ctypes.byref(array))
    return array.selected, array.size


table = np.zeros((2, 2), int)
for seed in range(SEEDS):
    chain = made(seed)
    place, _ = step(chain, FLAT)
    _, left = step(chain, PAIR)
    table[int(place < len(FLAT) // 2), int(left == 1)] += 1
    llama_cpp.llama_sampler_free(chain)

expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / SEEDS
statistic = float(((table - expected) ** 2 / expected).sum())
print("input     XTC of probability 0.5, then dist, with one seed; two steps;", SEEDS, "seeds")
print("expected  XTC fires at the second step as often after either half of the list was drawn from: chi-square of 1 degree below 50")
print(f"got       chi-square {statistic:.0f}; rows: the first draw in the second, the first half; columns: XTC rests, fires")
print(table)
print("the defect REPRODUCES" if statistic > 50 else "the defect does not show")
sys.exit(1 if statistic > 50 else 0)
