"""Correct stateful samplers in several styles: classes, functions of their own state, counters and generators, counts and windows.

They share no code on purpose, apart from the refusal of nonsense.
"""

import copy
from collections import Counter, deque

import numpy as np

import samplerfuzz as sf


def require(condition, message):
    if not condition:
        raise ValueError(message)


def require_logits(z):
    require(not np.isnan(z).any() and not np.isposinf(z).any(), "logits must not hold NaN or +inf")
    require(not np.isneginf(z).all(-1).any(), "a row of logits has no finite entry")


@sf.target(order=["temperature", "mirostat"], returns="tokens")
class MirostatOfTheAuthors:
    """Surprise of the whole distribution, a generator a text, rows one by one; seeded anew by reset."""

    def __init__(self, temperature, mirostat_tau, mirostat_eta, seed):
        require(np.isfinite(temperature) and temperature > 0, "temperature")
        require(0 <= mirostat_tau < 1e6 and 0 <= mirostat_eta < 1e6, "mirostat")
        self.temperature, self.tau, self.eta, self.seed = temperature, mirostat_tau, mirostat_eta, seed
        self.reset()

    def reset(self):
        self.mu = {}
        self.rng = np.random.default_rng(abs(int(self.seed)))

    def step(self, logits):
        require_logits(logits)
        tokens = []
        for row, z in enumerate(logits.astype(np.float64)):
            order = np.argsort(-z, kind="stable")[: np.isfinite(z).sum()]
            with np.errstate(over="ignore"):
                p = np.exp((z[order] - z[order[0]]) / self.temperature)
            p /= p.sum()
            with np.errstate(divide="ignore"):
                s = -np.log2(p)
            mu = self.mu.get(row, 2 * self.tau)
            n = max(1, int(np.searchsorted(s, mu, side="right")))
            chosen = min(int(np.searchsorted(np.cumsum(p[:n]), self.rng.random() * p[:n].sum(), side="right")), n - 1)
            self.mu[row] = mu - self.eta * (s[chosen] - self.tau)
            tokens.append(order[chosen])
        return np.array(tokens)

    def clone(self):
        return copy.deepcopy(self)


@sf.target(order=["mirostat"], returns="tokens")
def mirostat_as_llama_cpp(logits, mirostat_tau, mirostat_eta, u, state):
    """float32, the surprise of the renormalised probability, the state an array."""
    require_logits(logits)
    require(0 <= mirostat_tau < 1e6 and 0 <= mirostat_eta < 1e6, "mirostat")
    mu = np.full(len(logits), 2 * mirostat_tau, np.float32) if state is None else state
    with np.errstate(over="ignore", divide="ignore"):
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        p[(-np.log2(p) > mu[:, None]) & (p < p.max(-1, keepdims=True))] = 0
    p /= p.sum(-1, keepdims=True)
    c = np.cumsum(p.astype(np.float64), -1)
    tokens = np.array([min(int((row <= x * row[-1]).sum()), np.flatnonzero(q)[-1]) for row, x, q in zip(c, u, p)])
    surprise = -np.log2(np.take_along_axis(p, tokens[:, None], -1)[:, 0])
    return tokens, (mu - np.float32(mirostat_eta) * (surprise - np.float32(mirostat_tau))).astype(np.float32)


@sf.target(order=["mirostat"], returns="probs")
class MirostatOne:
    """The Zipf exponent over all pairs, k rounded and one more, as in the authors' code; probabilities, the tokens are told."""

    def __init__(self, mirostat_tau, mirostat_eta):
        require(0.01 <= mirostat_tau < 50 and 0 <= mirostat_eta < 1e6, "mirostat")
        self.tau, self.eta, self.mu = mirostat_tau, mirostat_eta, None

    def reset(self):
        self.mu = None

    def step(self, logits, mirostat):
        require_logits(logits)
        require(mirostat in (1, 2), "mirostat must be 1 or 2")
        z = logits.astype(np.float64)
        self.p = np.exp(z - z.max(-1, keepdims=True))
        self.p /= self.p.sum(-1, keepdims=True)
        self.mu = np.full(len(z), 2.0 * self.tau) if self.mu is None else self.mu
        out = np.zeros_like(self.p)
        for row, (p, mu) in enumerate(zip(self.p, self.mu)):
            order = np.argsort(-z[row], kind="stable")[: np.isfinite(z[row]).sum()]
            kept = (
                order[: self._rank(z[row][order], mu)]
                if mirostat == 1
                else order[: max(1, int((-np.log2(np.maximum(p[order], 1e-320)) <= mu).sum()))]
            )
            out[row, kept] = p[kept] / p[kept].sum()
        return out

    def _rank(self, z, mu):
        if len(z) == 1:
            return 1
        t = np.log1p(1 / np.arange(1, len(z)))
        s = (t * -np.diff(z)).sum() / (t * t).sum()
        e, n = s - 1, float(len(z))
        if s <= 0:
            return len(z) if 2.0**mu > n - 1 else 1
        factor = 1 / np.log(n) if abs(e) < 1e-12 else e / -np.expm1(-e * np.log(n))
        log_k = (np.log(factor) + mu * np.log(2)) / s
        return len(z) if log_k > 20 else min(len(z), max(1, round(np.exp(log_k)) + 1))

    def accept(self, tokens):
        p = np.take_along_axis(self.p, tokens[:, None], -1)[:, 0]
        self.mu = self.mu - self.eta * (-np.log2(p) - self.tau)


@sf.target(order=["adaptive_p"], returns="logits")
class AdaptivePWithTwoSums:
    """The sums of llama.cpp, started at the target."""

    def __init__(self, adaptive_target, adaptive_decay):
        require(adaptive_target <= 1, "adaptive_target")
        require(0 <= adaptive_decay <= 0.99, "adaptive_decay")
        self.t, self.d = adaptive_target, adaptive_decay
        self.reset()

    def reset(self):
        self.w, self.n = self.t / (1 - self.d), 1 / (1 - self.d)

    def step(self, logits):
        require_logits(logits)
        e = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
        self.p = e / e.sum(-1, keepdims=True)
        if self.t < 0:
            return logits
        target = np.clip(2 * self.t - self.w / self.n, 0, 1)
        distance = np.abs(self.p - np.reshape(target, (-1, 1))) / 0.3
        return np.where(np.isneginf(logits), -np.inf, 5 - 10 * distance**2 / (1 + distance))

    def accept(self, tokens):
        self.w = self.p[np.arange(len(tokens)), tokens] + self.d * self.w
        self.n = 1 + self.d * self.n

    def clone(self):
        return copy.copy(self)


@sf.target(order=["adaptive_p"], returns="tokens")
def adaptive_p_by_a_mean(logits, adaptive_target, adaptive_decay, u, state):
    """The mean itself is the state, with the weight of a past without end; t < 0 draws from the distribution as it is."""
    require_logits(logits)
    require(adaptive_target <= 1 and 0 <= adaptive_decay <= 0.99, "adaptive_p")
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    mean = np.full(len(z), float(adaptive_target)) if state is None else state
    if adaptive_target >= 0:
        gap = np.abs(p - np.clip(2 * adaptive_target - mean, 0, 1)[:, None]) / 0.3
        q = np.where(np.isneginf(z), 0, np.exp(-10 * gap**2 / (1 + gap)))
    else:
        q = p
    c = np.cumsum(q, -1)
    tokens = np.array([min(int(np.searchsorted(row, x * row[-1], side="right")), np.flatnonzero(w)[-1]) for row, x, w in zip(c, u, q)])
    taken = np.take_along_axis(p, tokens[:, None], -1)[:, 0]
    return tokens, adaptive_decay * mean + (1 - adaptive_decay) * taken


def _dry_price(dry_multiplier, dry_base, dry_allowed_length):
    require(0 <= dry_multiplier < 1e9 and 1 <= dry_base < 1e9 and dry_allowed_length >= 1, "dry")
    return lambda length: dry_multiplier * float(dry_base) ** min(length - dry_allowed_length, 300 / max(1.0, np.log10(dry_base) + 1))


@sf.target(order=["dry"], returns="logits")
def dry_by_trying_every_place(logits, history, dry_multiplier, dry_base, dry_allowed_length, dry_penalty_last_n, dry_sequence_breakers):
    """As text-generation-webui: from each earlier place of the newest token, count back; 0 and −1 are everything; at most 50."""
    require_logits(logits)
    price = _dry_price(dry_multiplier, dry_base, dry_allowed_length)
    require(dry_penalty_last_n >= -1, "dry_penalty_last_n")
    breakers = set(dry_sequence_breakers)
    require(all(0 <= token < logits.shape[-1] for token in breakers), "breakers")
    out = logits.astype(np.float64)
    for row, ids in zip(out, history):
        ids = ids.tolist()
        require(all(0 <= token < len(row) for token in ids), "history")
        ids = ids[-int(dry_penalty_last_n) :] if dry_penalty_last_n > 0 else ids
        longest = {}
        for place in [i for i, token in enumerate(ids[:-1]) if token == ids[-1] and ids[-1] not in breakers]:
            follower = ids[place + 1]
            if follower in breakers:
                continue
            length = 1
            while length < 50 and length <= place and ids[place - length] == ids[-1 - length] and ids[place - length] not in breakers:
                length += 1
            longest[follower] = max(longest.get(follower, 0), length)
        for token, length in longest.items():
            if length >= dry_allowed_length:
                row[token] -= price(length)
    return out


@sf.target(order=["dry"], returns="logits")
class DryByTheZAlgorithm:
    """Lengths of common prefixes of the reversed text in linear time; the text is kept here, the tokens are told."""

    def __init__(self, history, dry_multiplier, dry_base, dry_allowed_length):
        self.price, self.allowed = _dry_price(dry_multiplier, dry_base, dry_allowed_length), dry_allowed_length
        self.prompt = [ids.tolist() for ids in history]
        self.reset()

    def reset(self):
        self.texts = [list(ids) for ids in self.prompt]

    def step(self, logits):
        require_logits(logits)
        require(all(0 <= token < logits.shape[-1] for ids in self.texts for token in ids), "history")
        out = logits.astype(np.float64)
        for row, ids in zip(out, self.texts):
            reversed_ids = ids[::-1]
            longest = Counter()
            for place, length in enumerate(self._prefixes(reversed_ids)):
                if place and length >= self.allowed:
                    longest[reversed_ids[place - 1]] = max(longest[reversed_ids[place - 1]], length)
            for token, length in longest.items():
                row[token] -= self.price(length)
        return out

    @staticmethod
    def _prefixes(text):
        lengths, left, right = [0] * len(text), 0, 0
        for i in range(1, len(text)):
            if i < right:
                lengths[i] = min(right - i, lengths[i - left])
            while i + lengths[i] < len(text) and text[lengths[i]] == text[i + lengths[i]]:
                lengths[i] += 1
            if i + lengths[i] > right:
                left, right = i, i + lengths[i]
        return lengths

    def accept(self, tokens):
        for ids, token in zip(self.texts, tokens):
            ids.append(int(token))

    def clone(self):
        return copy.deepcopy(self)


@sf.target(order=["repetition_penalty", "frequency_penalty", "presence_penalty"], returns="logits")
class PenaltiesByCounts:
    """Counts that grow and shrink with a ring of the newest tokens; the prompt counts; 0 is off and −1 everything."""

    def __init__(self, prompt, repetition_penalty, frequency_penalty, presence_penalty, penalty_last_n):
        require(1e-9 <= repetition_penalty <= 1e9, "repetition_penalty")
        require(abs(frequency_penalty) <= 1e9 and abs(presence_penalty) <= 1e9, "additive penalties")
        require(penalty_last_n >= -1, "penalty_last_n")
        self.r, self.f, self.a, self.size = repetition_penalty, frequency_penalty, presence_penalty, int(penalty_last_n)
        self.prompt = prompt
        self.reset()

    def reset(self):
        self.rings = [deque(maxlen=None if self.size < 0 else self.size) for _ in self.prompt]
        self.counts = [Counter() for _ in self.prompt]
        for row, ids in enumerate(self.prompt):
            for token in ids.tolist():
                self._push(row, token)

    def _push(self, row, token):
        ring, counts = self.rings[row], self.counts[row]
        if ring.maxlen == 0:
            return
        if ring.maxlen is not None and len(ring) == ring.maxlen:
            counts[ring[0]] -= 1
        ring.append(token)
        counts[token] += 1

    def step(self, logits):
        require_logits(logits)
        require(len(self.counts) == len(logits), "one prompt a row")
        out = logits.astype(np.float64)
        for row, counts in zip(out, self.counts):
            for token, count in counts.items():
                require(0 <= token < len(row), "prompt")
                if count > 0:
                    row[token] = row[token] / self.r if row[token] > 0 else row[token] * self.r
                    row[token] -= self.f * count + self.a
        return out

    def accept(self, tokens):
        for row, token in enumerate(tokens.tolist()):
            self._push(row, token)

    def clone(self):
        return copy.deepcopy(self)


@sf.target(order=["frequency_penalty"], returns="logits")
def penalty_counted_anew(logits, output, frequency_penalty, state):
    """Only what was generated counts, counted from scratch at every step; the state is the number of the step."""
    require_logits(logits)
    require(abs(frequency_penalty) <= 1e9, "frequency_penalty")
    step = 0 if state is None else state
    out = logits.astype(np.float64)
    for row, ids in zip(out, output):
        require(len(ids) == 0 or (ids.min() >= 0 and ids.max() < len(row)), "output")
        row -= frequency_penalty * np.bincount(ids, minlength=len(row))
    return out, step + 1


@sf.target(order=["temperature", "top_k"], returns="tokens", per_row=True)
class CounterOfSteps:
    """The noise of a step is a function of the row's seed and the number of the step; greedy rows stand among the others."""

    def __init__(self, temperature, top_k, seed):
        require(np.isfinite(temperature).all() and (np.asarray(temperature) >= 0).all(), "temperature")
        self.temperature, self.k, self.seed, self.count = temperature, top_k, seed, 0

    def step(self, logits):
        require_logits(logits)
        out = []
        for row, z in enumerate(logits.astype(np.float64)):
            k = int(self.k[row]) if 0 < self.k[row] < len(z) else len(z)
            best = np.argsort(-z, kind="stable")[:k]
            if self.temperature[row] == 0:
                out.append(best[0])
                continue
            noise = np.random.Generator(np.random.Philox(key=int(self.seed[row]) % 2**64, counter=[0, 0, 0, self.count])).gumbel(
                size=len(z)
            )
            with np.errstate(over="ignore"):
                score = np.maximum((z[best] - z[best[0]]) / self.temperature[row], -1e300) + noise[best]
            out.append(best[np.where(np.isfinite(z[best]), score, -np.inf).argmax()])
        self.count += 1
        return np.array(out, np.int32)

    def reset(self):
        self.count = 0

    def clone(self):
        return copy.copy(self)


@sf.target(order=["temperature"], returns="tokens")
def generator_as_state(logits, temperature, seed, state):
    """The state is the generator of the text, changed in place."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature >= 0, "temperature")
    rng = np.random.default_rng([int(seed) % 2**32, 1]) if state is None else state
    if temperature == 0:
        return logits.argmax(-1), rng
    z = logits.astype(np.float64)
    with np.errstate(over="ignore"):
        gap = np.maximum((z - z.max(-1, keepdims=True)) / temperature, -1e300)
    return np.where(np.isneginf(z), -np.inf, gap - np.log(rng.exponential(size=z.shape))).argmax(-1), rng


@sf.target(order=["xtc"], returns="logits")
class CoinAtEveryStep:
    """A coin a row and a step, from a generator that was never seeded."""

    def __init__(self, xtc_threshold, xtc_probability):
        require(0 <= xtc_threshold <= 1 and 0 <= xtc_probability <= 1, "xtc")
        self.t, self.q, self.rng = xtc_threshold, xtc_probability, np.random.default_rng()

    def step(self, logits):
        require_logits(logits)
        out = logits.astype(np.float64)
        for z in out:
            p = np.exp(z - z.max())
            p /= p.sum()
            top = (p >= self.t) & (p > 0)
            if self.rng.random() < self.q and self.t <= 0.5 and top.sum() >= 2:
                top[np.where(top, p, np.inf).argmin()] = False
                z[top] = -np.inf
        return out
