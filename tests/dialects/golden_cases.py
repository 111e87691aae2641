"""What every engine is asked: rows and parameters, by the names of the registry. Standard library only: it runs in the engines' environments."""

import math
import random
import struct

INF = float("inf")
# ids of the tokens so far; the first PROMPT of them are the prompt
HISTORY, PROMPT = [0, 1, 3, 1], 2


def single(x):
    """Return the float32 nearest to x."""
    return struct.unpack("f", struct.pack("f", x))[0]


def logs(*p):
    """Return float32 logits of probabilities."""
    return [single(math.log(x)) if x else -INF for x in p]


ORDINARY = logs(0.4, 0.3, 0.2, 0.1)
HALVES = [single(math.log(2)), 0.0, 0.0]
EQUAL = [0.0] * 4
STEEP = logs(0.05, 0.6, 0.1, 0.25)
SEEN = [2.0, -2.0, 1.0, 0.0, -0.5]

# name, row, parameters; an exact row has sums and thresholds that no rounding moves
EXACT = [
    *((f"top-p {p} on four equal", EQUAL, {"top_p": p}) for p in (0.25, 0.5, 0.75)),
    ("top-p at a quarter of a masked row", [0.0, -INF, 0.0, 0.0, 0.0], {"top_p": 0.5}),
    ("top-k cuts a tie", [0.0, 0.0, 0.0, -1.0], {"top_k": 2}),
    ("top-k 1 of a tie", [-1.0, 0.0, 0.0, 0.0], {"top_k": 1}),
    ("top-k as many as the tie", [0.0, 0.0, -1.0, 0.0], {"top_k": 3}),
    ("top-k and top-p on equals", [0.0] * 8, {"top_k": 4, "top_p": 0.5}),
    ("min-p 1 on a tie", [0.0, 0.0, -1.0], {"min_p": 1.0}),
    ("typical on four equal", EQUAL, {"typical_p": 0.5}),
    ("typical on four equal, three quarters", EQUAL, {"typical_p": 0.75}),
    ("XTC at its threshold", EQUAL, {"xtc_threshold": 0.25, "xtc_probability": 1.0}),
    ("XTC leaves one of a tie", EQUAL, {"xtc_threshold": 0.1, "xtc_probability": 1.0}),
    ("greedy of a tie", [-1.0, 0.0, 0.0], {"temperature": 0.0}),
]
PLAIN = [
    ("top-p at the first token", HALVES, {"top_p": 0.5}),
    ("top-p keeps the crossing token", ORDINARY, {"top_p": 0.6}),
    ("top-p after top-k", ORDINARY, {"top_k": 2, "top_p": 0.5}),
    ("min-p", STEEP, {"min_p": 0.3}),
    ("typical", logs(0.5, 0.3, 0.2), {"typical_p": 0.2}),
    ("typical, two tokens", STEEP, {"typical_p": 0.5}),
    ("XTC", ORDINARY, {"xtc_threshold": 0.15, "xtc_probability": 1.0}),
    ("XTC at a quarter", HALVES, {"xtc_threshold": 0.25, "xtc_probability": 1.0}),
    ("XTC with one top choice", ORDINARY, {"xtc_threshold": 0.35, "xtc_probability": 1.0}),
    ("XTC rests", ORDINARY, {"xtc_threshold": 0.15, "xtc_probability": 0.0}),
    ("XTC without a threshold", logs(0.45, 0.28, 0.15, 0.12), {"xtc_probability": 1.0}),
    ("XTC without a probability", ORDINARY, {"xtc_threshold": 0.15}),
    ("XTC beyond a half", ORDINARY, {"xtc_threshold": 0.6, "xtc_probability": 1.0}),
    ("XTC at T = 0", ORDINARY, {"xtc_threshold": 0.15, "xtc_probability": 1.0, "temperature": 0.0}),
    ("XTC after top-p", ORDINARY, {"xtc_threshold": 0.25, "xtc_probability": 1.0, "top_p": 0.6}),
    ("top-n-sigma", [4.0, 3.0, 0.0, 1.0], {"top_n_sigma": 1.0}),
    ("top-n-sigma and top-k", [4.0, 3.0, 0.0, 1.0, 2.5], {"top_n_sigma": 1.2, "top_k": 2}),
    ("top-n-sigma of a masked row", [4.0, 3.0, -INF, 1.0], {"top_n_sigma": 1.0}),
    *((f"temperature {t}", ORDINARY, {"temperature": t}) for t in (0.0, 1e-6, 0.005, 0.5, 1.0, 2.0, 3.0, -1.0)),
    *((f"top-k {k}", ORDINARY, {"top_k": k}) for k in (-1, 0, 1, 2, 4, 9)),
    *((f"top-p {p}", ORDINARY, {"top_p": p}) for p in (-0.5, 0.0, 1.0, 1.5)),
    *((f"min-p {a}", STEEP, {"min_p": a}) for a in (-0.5, 0.0, 2.0)),
    *((f"typical {p}", STEEP, {"typical_p": p}) for p in (0.0, 1.0, 1.5)),
    *((f"top-n-sigma {n}", STEEP, {"top_n_sigma": n}) for n in (-1.0, 0.0)),
    *((f"XTC {t}", STEEP, {"xtc_threshold": t, "xtc_probability": 1.0}) for t in (0.0, 0.5)),
    ("temperature or min-p first", STEEP, {"temperature": 0.5, "min_p": 0.1}),
    ("temperature or top-p first", STEEP, {"temperature": 0.5, "top_p": 0.8}),
    ("temperature or top-k first", STEEP, {"temperature": 2.0, "top_k": 2}),
    ("temperature or typical first", STEEP, {"temperature": 3.0, "typical_p": 0.4}),
    ("top-p or min-p first", logs(0.4, 0.3, 0.16, 0.14), {"top_p": 0.7, "min_p": 0.5}),
    ("top-k, top-p and min-p", logs(0.3, 0.2, 0.2, 0.1, 0.1, 0.1), {"top_k": 5, "top_p": 0.8, "min_p": 0.4}),
    ("greedy with filters", STEEP, {"temperature": 0.0, "top_k": 3, "top_p": 0.9}),
    ("epsilon", STEEP, {"epsilon_cutoff": 0.12}),
    ("eta", STEEP, {"eta_cutoff": 0.2}),
    ("top-h", STEEP, {"top_h": 0.6}),
    ("top-a", STEEP, {"top_a": 0.4}),
    ("dynamic temperature", STEEP, {"temperature": 1.0, "dynatemp_range": 0.5, "dynatemp_exponent": 2.0}),
    ("mirostat 2", STEEP, {"mirostat": 2, "mirostat_tau": 1.05, "mirostat_eta": 0.1}),
    ("mirostat 1", logs(0.4, 0.25, 0.15, 0.1, 0.06, 0.04), {"mirostat": 1, "mirostat_tau": 1.1, "mirostat_eta": 0.1}),
    ("mirostat leaves no other filter", STEEP, {"mirostat": 2, "mirostat_tau": 1.5, "mirostat_eta": 0.1, "temperature": 1.5, "top_k": 1}),
    ("mirostat 0", STEEP, {"mirostat": 0, "mirostat_tau": 0.6, "mirostat_eta": 0.1, "top_k": 3}),
    ("adaptive-p", STEEP, {"adaptive_target": 0.3, "adaptive_decay": 0.9}),
    ("adaptive-p off", STEEP, {"adaptive_target": -0.5}),
    ("DRY", SEEN, {"dry_multiplier": 0.8, "dry_allowed_length": 1}),
    ("DRY off", SEEN, {"dry_multiplier": 0.8, "dry_allowed_length": 1, "dry_penalty_last_n": 0}),
    ("repetition penalty", SEEN, {"repetition_penalty": 2.0}),
    ("presence penalty", SEEN, {"presence_penalty": 0.5}),
    ("frequency penalty", SEEN, {"frequency_penalty": 0.5}),
    ("a window of one", SEEN, {"frequency_penalty": 0.5, "penalty_last_n": 1}),
    ("a window of none", SEEN, {"presence_penalty": 0.5, "penalty_last_n": 0}),
    ("penalties together", SEEN, {"repetition_penalty": 1.5, "presence_penalty": 0.75, "frequency_penalty": 0.25}),
    ("penalty before temperature and top-p", SEEN, {"repetition_penalty": 1.5, "temperature": 0.7, "top_p": 0.9}),
    ("repetition penalty 0", SEEN, {"repetition_penalty": 0.0}),
    ("bias before or after the penalty", SEEN, {"logit_bias": {0: -3.0, 1: 1.0}, "repetition_penalty": 2.0}),
]
RANGES = {
    "temperature": (0.3, 1.9), "top_k": (1, 7), "top_p": (0.1, 0.99), "min_p": (0.01, 0.6), "typical_p": (0.1, 0.95), "top_n_sigma": (0.3, 2.0),
    "xtc_threshold": (0.05, 0.4), "repetition_penalty": (1.05, 1.8), "presence_penalty": (-1.0, 1.0), "frequency_penalty": (-1.0, 1.0),
    "epsilon_cutoff": (0.01, 0.1), "eta_cutoff": (0.01, 0.2),
}  # fmt: skip


def chains(takes, one_filter):
    """Return random rows under random chains of what an engine takes: what reveals the order."""
    rng = random.Random(20)
    for number in range(40):
        names = [name for name in RANGES if name in takes and rng.random() < 0.6]
        if one_filter:
            filters = [name for name in names if name != "temperature"]
            names = [name for name in names if name not in filters[1:]]
        parameters = {n: rng.randint(*RANGES[n]) if n == "top_k" else round(rng.uniform(*RANGES[n]), 3) for n in names}
        if "xtc_threshold" in parameters:
            parameters["xtc_probability"] = 1.0
        yield f"chain {number}", [single(round(rng.gauss(0, 1.5), 3)) for _ in range(8)], parameters


def cases(takes, one_filter=False):
    """Return the cases whose parameters an engine takes: dicts with name, logits, parameters, exact."""
    for exact, table in ((True, EXACT), (False, [*PLAIN, *chains(takes, one_filter)])):
        for name, row, parameters in table:
            if set(parameters) <= set(takes) and not (one_filter and len(set(parameters) - {"temperature"}) > 1):
                yield {"name": name, "logits": row, "parameters": parameters, "exact": exact}
