"""Correct samplers as PyTorch code is written: none may be accused. They differ in what the contract leaves free."""

import torch

import samplerfuzz as sf

torch.set_num_threads(1)


def require(condition, message):
    if not condition:
        raise ValueError(message)


def require_logits(z):
    require(not torch.isnan(z).any() and not torch.isposinf(z).any(), "logits must not hold NaN or +inf")
    require(not torch.isneginf(z).all(-1).any(), "a row of logits has no finite entry")


def tensor(logits, dtype=torch.float32):
    z = torch.from_numpy(logits).to(dtype)
    require_logits(z)
    return z


@sf.target(order=["temperature", "top_k", "top_p"], returns="probs")
def textbook(logits, temperature, top_k, top_p):
    """Sort, softmax, cumulative sum, scatter back; all in float32, the maximum subtracted before the division."""
    require(0 < temperature < float("inf") and top_k >= 0 and 0 < top_p <= 1, "temperature, top_k or top_p")
    z = tensor(logits)
    z = torch.nan_to_num((z - z.amax(-1, keepdim=True)) / temperature, nan=0.0)
    if 0 < top_k < z.shape[-1]:
        z = z.masked_fill(z < z.topk(int(top_k), -1).values[:, -1:], -torch.inf)
    p, ids = torch.softmax(z, -1).sort(dim=-1, descending=True, stable=True)
    if top_p < 1:
        p = torch.where(p.cumsum(-1) - p >= top_p, 0.0, p)
    p = torch.zeros_like(z).scatter(-1, ids, p)
    return (p / p.sum(-1, keepdim=True)).numpy()


@sf.target(order=["top_k"], returns="logits")
def scatter_of_topk(logits, top_k):
    """Exactly k: the ids that topk names, ties broken as it likes."""
    require(top_k >= 1, "top_k")
    z = tensor(logits)
    kept = z.topk(min(int(top_k), z.shape[-1]), -1)
    return torch.full_like(z, -torch.inf).scatter(-1, kept.indices, kept.values).numpy()


@sf.target(order=["top_p"], returns="logits", dtype="bfloat16")
def nucleus_of_bfloat16_logits(logits, top_p):
    """The logits come in bfloat16, and are made wide before anything is computed."""
    require(0 < top_p <= 1, "top_p")
    z = tensor(logits, torch.bfloat16).double()
    p, ids = torch.softmax(z, -1).sort(dim=-1, descending=True)
    gone = (p.cumsum(-1) - p >= top_p).scatter(-1, ids, p.cumsum(-1) - p >= top_p) if top_p < 1 else torch.zeros_like(z, dtype=torch.bool)
    return z.masked_fill(gone, -torch.inf).numpy()


@sf.target(order=["min_p"], returns="logits", dtype="float16")
def min_p_in_float16(logits, min_p):
    """Half precision all the way: the ratio is compared where it is computed."""
    require(0 <= min_p <= 1, "min_p")
    z = tensor(logits, torch.float16)
    require_logits(z)
    ratio = torch.exp((z - z.amax(-1, keepdim=True)).float()).half()
    return z.masked_fill((ratio < min_p) | (ratio == 0) & (min_p > 0), -torch.inf).float().numpy()


@sf.target(order=["epsilon_cutoff"], returns="probs")
def epsilon_with_the_best_kept(logits, epsilon_cutoff):
    """float64; what is below goes, the largest never does."""
    require(0 <= epsilon_cutoff < 1, "epsilon_cutoff")
    p = torch.softmax(tensor(logits).double(), -1)
    p = torch.where((p >= epsilon_cutoff) | (p == p.amax(-1, keepdim=True)), p, 0.0)
    return (p / p.sum(-1, keepdim=True)).numpy()


@sf.target(order=["temperature"], returns="tokens")
def multinomial_of_softmax(logits, temperature, seed):
    """torch.multinomial on float64 probabilities, from a generator of its own."""
    require(0 < temperature < float("inf"), "temperature")
    z = tensor(logits).double()
    p = torch.softmax((z - z.amax(-1, keepdim=True)) / temperature, -1)
    return torch.multinomial(p, 1, generator=torch.Generator().manual_seed(seed))[:, 0].numpy()


@sf.target(order=["temperature"], returns="tokens")
def exponential_race(logits, temperature, seed):
    """The largest of p/E with E exponential, in float64, where no E is 0."""
    require(0 < temperature < float("inf"), "temperature")
    z = tensor(logits).double()
    p = torch.softmax((z - z.amax(-1, keepdim=True)) / temperature, -1)
    race = torch.empty_like(p).exponential_(generator=torch.Generator().manual_seed(seed)).clamp_min(1e-300)
    return torch.where(p > 0, p / race, -1.0).argmax(-1).numpy()


@sf.target(order=["top_p", "temperature"], returns="tokens")
def gumbel_after_a_nucleus(logits, top_p, temperature, seed):
    """The nucleus is that of T = 1; noise in float64 from float64 uniforms that are never 0."""
    require(0 < top_p <= 1 and 0 < temperature < float("inf"), "top_p or temperature")
    z = tensor(logits).double()
    p, ids = torch.softmax(z, -1).sort(dim=-1, descending=True, stable=True)
    gone = (p.cumsum(-1) - p >= top_p) if top_p < 1 else torch.zeros_like(p, dtype=torch.bool)
    z = z.masked_fill(torch.zeros_like(gone).scatter(-1, ids, gone), -torch.inf)
    u = torch.rand(z.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).clamp_min(2.0**-54)
    z = (z - z.amax(-1, keepdim=True)) / temperature
    return torch.where(z == -torch.inf, -torch.inf, z - torch.log(-torch.log(u))).argmax(-1).numpy()


@sf.target(order=["repetition_penalty"], returns="logits")
def penalty_by_gather(logits, repetition_penalty, history):
    """The processor that everybody copies: gather, divide or multiply, scatter."""
    require(repetition_penalty > 0, "repetition_penalty")
    z = tensor(logits).clone()
    for row, ids in zip(z, history):
        require(((ids >= 0) & (ids < len(row))).all(), "history")
        at = torch.from_numpy(ids)
        score = row.gather(0, at)
        row.scatter_(0, at, torch.where(score < 0, score * repetition_penalty, score / repetition_penalty))
    require(not torch.isposinf(z).any(), "the penalty overflows")
    return z.numpy()
