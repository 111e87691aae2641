"""Defects of state: each step is right and what is carried to the next one is not.

Classes are stateful targets: their constructor has the parameters of a text, `step` makes one token or distribution, `accept` is told the
tokens taken, `reset` begins a new text.
"""

from __future__ import annotations

import abc
import copy

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import (
    distribution,
    draw_by_gumbel,
    draw_by_inversion,
    masked,
    require,
    require_history,
    require_logits,
    require_temperature,
    softmax,
    tempered,
)
from samplerfuzz.zoo.correct_states import near_target, penalise_counts, require_mirostat, surprise, within


class _Mirostat:
    """A correct mirostat 2 over rows, drawing with one generator a text."""

    def __init__(self, temperature, mirostat_tau, mirostat_eta, seed):
        require_temperature(temperature)
        require_mirostat(mirostat_tau, mirostat_eta)
        self.temperature, self.tau, self.eta, self.seed = temperature, mirostat_tau, mirostat_eta, int(seed) % 2**64
        self.reset()

    def reset(self):
        """Begin a new text."""
        self.bound, self.generator = None, np.random.default_rng(self.seed)

    def step(self, logits):
        """Draw below the bound and move it."""
        require_logits(logits)
        if self.bound is None:
            self.bound = np.full(len(logits), 2.0 * self.tau)
        p = distribution(logits, self.temperature)
        kept = np.where(within(p, self.bound), p, 0)
        tokens = draw_by_inversion(kept / kept.sum(-1, keepdims=True), self.generator.random(len(logits)))
        self.move(np.take_along_axis(surprise(p), tokens[:, None], -1)[:, 0] - self.tau)
        return tokens

    def move(self, error):
        """Move the bound."""
        self.bound = self.bound - self.eta * error

    def clone(self):
        """Return a copy that goes on as this one would."""
        return copy.deepcopy(self)


@defect(
    id="LC-06",
    source="SciSharp/LLamaSharp issue #71, 2023-07-28; abetlen/llama-cpp-python issue #914, 2023-11-15",
    kind="lost state",
    expected_checks=("state",),
)
@sf.target(order=["temperature", "mirostat"], returns="tokens")
class MirostatStartsAnewAtEveryToken(_Mirostat):
    """The bound is 2τ at every step; what it became is discarded."""

    def move(self, error):
        """Forget where the bound went."""


@defect(
    id="LC-12",
    source="ggml-org/llama.cpp src/llama-sampler.cpp, llama_sampler_mirostat_clone, read at commit 00efb3e",
    kind="clone",
    expected_checks=("state",),
)
@sf.target(order=["temperature", "mirostat"], returns="tokens")
class CloneBeginsAgain(_Mirostat):
    """The clone copies its bound and its generator onto itself: it begins a new text."""

    def clone(self):
        """Return a sampler of the same parameters."""
        return type(self)(self.temperature, self.tau, self.eta, self.seed)


@defect(id="SF-02", source="our own", kind="clone", expected_checks=("state",))
@sf.target(order=["temperature", "mirostat"], returns="tokens")
class CloneSharesTheGenerator(_Mirostat):
    """The clone is shallow: it draws from the generator of the original, and each takes the other's numbers."""

    def clone(self):
        """Return a copy of the outside."""
        return copy.copy(self)


@defect(
    id="LC-14",
    source="ggml-org/llama.cpp examples/main at tag master-d3494bb, 2023-08, `static float mirostat_mu`",
    kind="state shared by texts",
    expected_checks=("state", "support", "seeds"),
)
@sf.target(order=["mirostat"], returns="probs")
class BoundOfTheLastText:
    """The bound is a static variable: a new text begins where the last one ended."""

    bound = None

    def __init__(self, mirostat_tau, mirostat_eta):
        require_mirostat(mirostat_tau, mirostat_eta)
        self.tau, self.eta = mirostat_tau, mirostat_eta

    def step(self, logits):
        """Cut at the bound."""
        require_logits(logits)
        if BoundOfTheLastText.bound is None:
            BoundOfTheLastText.bound = 2 * self.tau
        self.p = softmax(logits)
        kept = np.where(within(self.p, np.full(len(logits), BoundOfTheLastText.bound)), self.p, 0)
        return kept / kept.sum(-1, keepdims=True)

    def accept(self, tokens):
        """Move the bound by the first row."""
        BoundOfTheLastText.bound -= self.eta * (surprise(self.p)[0, tokens[0]] - self.tau)


@defect(id="TW-01", source="oobabooga/text-generation-webui PR #2571, 2023-06-07", kind="state shared by rows", expected_checks=("state",))
@sf.target(order=["mirostat"], returns="probs")
class OneBoundForTheWholeBatch:
    """There is one bound for all rows, and the surprise of the token of row 0 moves it."""

    def __init__(self, mirostat_tau, mirostat_eta):
        require_mirostat(mirostat_tau, mirostat_eta)
        self.tau, self.eta = mirostat_tau, mirostat_eta
        self.reset()

    def reset(self):
        """Begin a new text."""
        self.bound = 2.0 * self.tau

    def step(self, logits):
        """Cut at the bound."""
        require_logits(logits)
        self.p = softmax(logits)
        kept = np.where(within(self.p, np.full(len(logits), self.bound)), self.p, 0)
        return kept / kept.sum(-1, keepdims=True)

    def accept(self, tokens):
        """Move the bound by the first row."""
        self.bound -= self.eta * (surprise(self.p)[0, tokens[0]] - self.tau)


class _AdaptiveP:
    """A correct adaptive-p over rows."""

    def __init__(self, adaptive_target, adaptive_decay):
        require(-1 <= adaptive_target <= 1, f"adaptive_target must be in [-1, 1], got {adaptive_target}")
        require(0 <= adaptive_decay <= 0.99, f"adaptive_decay must be in [0, 0.99], got {adaptive_decay}")
        self.target, self.decay = adaptive_target, adaptive_decay
        self.begin()

    def begin(self):
        """Let the mean be the target."""
        weight = 1 / (1 - self.decay)
        self.sum, self.weight = max(self.target, 0) * weight, weight

    def reset(self):
        """Begin a new text."""
        self.begin()

    def step(self, logits):
        """Prefer what makes up for the past."""
        require_logits(logits)
        self.p = softmax(logits)
        self.given = logits.astype(np.float64)
        mean = np.broadcast_to(self.sum / self.weight, len(logits))
        return self.given if self.target < 0 else near_target(logits, np.clip(2 * self.target - mean, 0, 1))

    def taken(self, tokens):
        """Return the probabilities that count."""
        return np.take_along_axis(self.p, tokens[:, None], -1)[:, 0]

    def accept(self, tokens):
        """Move the mean."""
        self.sum, self.weight = self.taken(tokens) + self.decay * self.sum, 1 + self.decay * self.weight


@defect(id="IK-01", source="ikawrakow/ik_llama.cpp PR #1155, 2026-01-18", kind="stale value", expected_checks=("state",))
@sf.target(order=["adaptive_p"], returns="logits")
class MeanOfZeroes(_AdaptiveP):
    """The probabilities are recorded before they were computed: the mean is taken of zeroes."""

    def taken(self, tokens):
        """Return what the buffer holds."""
        return np.zeros(len(tokens))


@defect(id="IK-02", source="ikawrakow/ik_llama.cpp PR #2337, 2026-08-17", kind="reset", expected_checks=("state",))
@sf.target(order=["adaptive_p"], returns="logits")
class ResetKeepsTheMean(_AdaptiveP):
    """Reset begins a new text for every sampler but this one."""

    def reset(self):
        """Do nothing."""


class _Penalties:
    """A correct presence and frequency penalty over a window, with counts that are kept up to date."""

    def __init__(self, history, presence_penalty, frequency_penalty, penalty_last_n):
        require(-100 <= presence_penalty <= 100, f"presence_penalty must be in [-100, 100], got {presence_penalty}")
        require(-100 <= frequency_penalty <= 100, f"frequency_penalty must be in [-100, 100], got {frequency_penalty}")
        require(penalty_last_n >= -1, f"penalty_last_n must be >= -1, got {penalty_last_n}")
        self.presence, self.frequency, self.size = presence_penalty, frequency_penalty, penalty_last_n
        self.prompt = [np.asarray(ids, np.int64) for ids in history]
        self.reset()

    def reset(self):
        """Begin a new text after the same prompt."""
        self.windows = [list(ids if self.size < 0 else ids[len(ids) - min(self.size, len(ids)) :]) for ids in self.prompt]
        self.counts = np.zeros((0, 0), np.int64)

    def step(self, logits):
        """Lower what was seen."""
        require_logits(logits)
        if not self.counts.size:
            require_history(self.prompt, logits)
            self.counts = np.stack([np.bincount(np.array(window, np.int64), minlength=logits.shape[-1]) for window in self.windows])
        return penalise_counts(logits, self.counts, self.presence, self.frequency)

    def accept(self, tokens):
        """Count a token a row."""
        for row, token in enumerate(tokens):
            self.windows[row].append(int(token))
            self.counts[row, token] += 1
            if 0 <= self.size < len(self.windows[row]):
                self.expire(row)

    def expire(self, row):
        """Take the oldest token out of the window."""
        self.counts[row, self.windows[row].pop(0)] -= 1

    def clone(self):
        """Return a copy that goes on as this one would."""
        return copy.deepcopy(self)


@defect(
    id="LC-13",
    source="ggml-org/llama.cpp src/llama-sampler.cpp, llama_sampler_penalties_clone, read at commit 00efb3e",
    kind="clone",
    expected_checks=("state",),
)
@sf.target(order=["presence_penalty", "frequency_penalty"], returns="logits")
class CloneForgetsItsCounts(_Penalties):
    """The clone has the tokens of the window and not their counts, so it penalises nothing that it did not see itself."""

    def clone(self):
        """Copy the window."""
        twin = copy.deepcopy(self)
        twin.counts[:] = 0
        return twin

    def expire(self, row):
        """Take the oldest token out of the window; a count stays at least zero."""
        token = self.windows[row].pop(0)
        self.counts[row, token] = max(self.counts[row, token] - 1, 0)


@defect(id="SF-03", source="our own", kind="window", expected_checks=("state",))
@sf.target(order=["presence_penalty", "frequency_penalty"], returns="logits")
class CountsNeverExpire(_Penalties):
    """A token that leaves the window keeps its count."""

    def expire(self, row):
        """Take the token out of the window only."""
        self.windows[row].pop(0)


@defect(id="VL-10B", source="vllm-project/vllm-ascend issue #7769, 2026-03-28", kind="stale cache", expected_checks=("state",))
@sf.target(order=["presence_penalty", "frequency_penalty"], returns="logits")
class GeneratedTokensNeverCount(_Penalties):
    """What is generated never reaches the counts: the penalties act on the prompt alone."""

    def accept(self, tokens):
        """Do nothing."""


class _Drawing(abc.ABC):
    """Temperature and a draw; subclasses say where the randomness of a step comes from."""

    def __init__(self, temperature, seed):
        require_temperature(temperature)
        self.temperature, self.seed = temperature, int(seed) % 2**64
        self.reset()

    def reset(self):
        """Begin a new text."""
        self.count = 0

    def step(self, logits):
        """Draw."""
        require_logits(logits)
        tokens = self.draw(logits)
        self.count += 1
        return tokens

    @abc.abstractmethod
    def draw(self, logits):
        """Return the tokens of a step."""


@defect(id="TR-04", source="NVIDIA/TensorRT-Edge-LLM issue #211, PR #212, 2026-09-12", kind="randomness reused", expected_checks=("state",))
@sf.target(order=["temperature"], returns="tokens")
class EveryStepDrawsWithTheSameNoise(_Drawing):
    """The counter of the generator is left at its default, so every step of a text has the same noise."""

    def draw(self, logits):
        """Draw with the noise of step 0."""
        return draw_by_gumbel(tempered(logits, self.temperature), np.random.default_rng([self.seed, 0]))


@defect(id="OLD-08", source="kekzl/imp PR #1143, 2026-07-31", kind="weak generator", expected_checks=("state", "draws"))
@sf.target(order=["temperature"], returns="tokens")
class OneStepOfALinearGenerator(_Drawing):
    """The seed of a step is the base plus the step and its uniform one step of a linear generator, so successive uniforms are neighbours."""

    def draw(self, logits):
        """Draw by inversion with neighbouring uniforms."""
        bases = np.random.default_rng(self.seed).integers(0, 2**32, len(logits), np.uint64)
        seeds = (bases + np.uint64(self.count)) % np.uint64(2**32)
        uniforms = ((seeds * np.uint64(1664525) + np.uint64(1013904223)) % np.uint64(2**32)) / 2**32
        return draw_by_inversion(distribution(logits, self.temperature), uniforms)


@defect(id="LC-05B", source="ggml-org/llama.cpp PR #9742 review, 2024-10-04", kind="coin", expected_checks=("state",))
@sf.target(order=["xtc"], returns="logits")
class CoinIsTossedAtResetOnly:
    """The chance of XTC is drawn when the sampler is reset, so in one text it fires at every step or at none."""

    def __init__(self, xtc_threshold, xtc_probability, seed):
        require(0 <= xtc_threshold <= 1, f"xtc_threshold must be in [0, 1], got {xtc_threshold}")
        require(0 <= xtc_probability <= 1, f"xtc_probability must be in [0, 1], got {xtc_probability}")
        self.threshold, self.probability, self.seed = xtc_threshold, xtc_probability, int(seed) % 2**64
        self.reset()

    def reset(self):
        """Begin a new text."""
        self.coins = None

    def step(self, logits):
        """Remove the top choices but the last, where the coin of the row says so."""
        require_logits(logits)
        if self.coins is None:
            self.coins = np.random.default_rng(self.seed).random(len(logits))
        p = softmax(logits)
        top = (p >= self.threshold) & (p > 0)
        least = np.where(top, p, np.inf).argmin(-1)
        top[np.arange(len(p)), least] = False
        fires = (self.coins < self.probability) & (self.threshold <= 0.5)
        return masked(logits, ~(top & fires[:, None]) & ~np.isneginf(logits))


@defect(id="AP-01", source="paiml/aprender PR #2142, 2026-06-19", kind="wrong unit", expected_checks=("support", "state"))
@sf.target(order=["mirostat"], returns="tokens")
def surprise_is_measured_in_nats(logits, mirostat_tau, mirostat_eta, u, state):
    """The surprise is taken in nats and its bound in bits, so too much is kept and the bound moves too slowly."""
    require_logits(logits)
    require_mirostat(mirostat_tau, mirostat_eta)
    bound = np.full(len(logits), 2.0 * mirostat_tau) if state is None else state
    p = softmax(logits)
    nats = surprise(p) * np.log(2)
    kept = np.where((nats <= bound[:, None]) | (p == p.max(-1, keepdims=True)), p, 0)
    tokens = draw_by_inversion(kept / kept.sum(-1, keepdims=True), u)
    return tokens, bound - mirostat_eta * (np.take_along_axis(nats, tokens[:, None], -1)[:, 0] - mirostat_tau)
