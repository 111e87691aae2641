"""koboldcpp, which cannot be installed here: what the functions of its gpttype_adapter.cpp do, restated from reading them and not run.

A list of (logit, id) that is sorted and cut, in the sampler order 6, 0, 1, 3, 4, 2, 5 with top-nσ after temperature and XTC last.
"""

import math

from golden_cases import single

ORIGIN, ONE_FILTER = "read", False
TAKES = (
    "temperature", "top_k", "top_a", "top_p", "min_p", "typical_p", "top_n_sigma", "xtc_threshold", "xtc_probability", "repetition_penalty",
    "presence_penalty", "penalty_last_n", "logit_bias",
)  # fmt: skip


def version():
    return "commit 062b30f"


def shares(tokens):
    # in float32, as it computes: a share that is a quarter is one
    weights = [single(math.exp(single(z - tokens[0][0]))) for z, _ in tokens]
    total = 0.0
    for weight in weights:
        total = single(total + weight)
    return [single(w / total) for w in weights]


def ordered(tokens):
    return sorted(tokens, key=lambda token: -token[0])


def prefix(tokens, enough):
    """Return the tokens up to the first after which the running sum of the shares is enough."""
    total = 0.0
    for count, share in enumerate(shares(tokens), 1):
        total += share
        if enough(total):
            return tokens[:count]
    return tokens


def penalised(tokens, p, history):
    repeat, presence, window = p.get("repetition_penalty", 1.0), p.get("presence_penalty", 0.0), p.get("penalty_last_n", len(history))
    seen = set(history[-window:]) if window > 0 else set()
    if repeat <= 0:
        raise ValueError("rep_pen must be above 0")
    return [((z / repeat if z > 0 else z * repeat) - presence, i) if i in seen else (z, i) for z, i in tokens]


def typical(tokens, mass):
    p = shares(tokens)
    entropy = -sum(share * math.log(share) for share in p if share > 0)
    nearest = sorted(range(len(p)), key=lambda i: abs(-math.log(p[i]) - entropy) if p[i] > 0 else math.inf)
    total, kept = 0.0, []
    for i in nearest:
        kept.append(tokens[i])
        total += p[i]
        if total > mass:
            break
    return ordered(kept)


def within_sigma(tokens, n):
    mean = sum(z for z, _ in tokens) / len(tokens)
    deviation = math.sqrt(sum((z - mean) ** 2 for z, _ in tokens) / len(tokens))
    return [(z, i) for z, i in tokens if z >= tokens[0][0] - n * deviation]


def without_top_choices(tokens, threshold):
    choices = sum(share >= threshold for share in shares(tokens))
    return tokens[choices - 1 :] if choices > 1 else tokens


def run(row, p, history, prompt):
    tokens = [(z + p.get("logit_bias", {}).get(i, 0.0), i) for i, z in enumerate(row) if z > -math.inf]
    tokens = ordered(penalised(tokens, p, history))
    if p.get("top_k", 0) > 0:
        tokens = tokens[: p["top_k"]]
    if p.get("top_a", 0) > 0:
        share = shares(tokens)
        tokens = [token for token, s in zip(tokens, share, strict=True) if s >= p["top_a"] * share[0] ** 2 or token is tokens[0]]
    if p.get("typical_p", 1.0) < 1:
        tokens = typical(tokens, p["typical_p"])
    if p.get("top_p", 1.0) < 1:
        tokens = prefix(tokens, lambda total: total >= p["top_p"])
    if p.get("min_p", 0.0) > 0:
        tokens = [token for token in tokens if token[0] >= tokens[0][0] + math.log(p["min_p"]) or token is tokens[0]]
    temperature = p.get("temperature", 1.0)
    tokens = tokens[:1] if temperature <= 0 else [(z / temperature, i) for z, i in tokens]
    if p.get("top_n_sigma", 0.0) > 0 and len(tokens) > 1:
        tokens = within_sigma(tokens, p["top_n_sigma"])
    if p.get("xtc_threshold", 0.2) <= 0.5 and p.get("xtc_probability", 0.0) >= 1 and len(tokens) > 1:
        tokens = without_top_choices(tokens, p.get("xtc_threshold", 0.2))
    left = dict(zip((i for _, i in tokens), shares(ordered(tokens)), strict=True))
    return list(left), [left.get(i, 0.0) for i in range(len(row))]
