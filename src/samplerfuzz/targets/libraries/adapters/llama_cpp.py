"""llama.cpp, through llama-cpp-python: each `llama_sampler` alone, the chains that programs build of them, and their streams.

A row is a request: it has a chain of its own, made of its own parameters and seed, and told the row's history. No model is needed. DRY with
sequence breakers goes through the function that llama.cpp's own tests use, since the others are given in words of a vocabulary.
"""

import copy
import ctypes
import os
import types

import numpy as np

import samplerfuzz as sf

# a failed assertion ends the process at once, without a debugger that would look at it first
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp

LACKS = {}

CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])


def version():
    return f"llama-cpp-python {llama_cpp.__version__}"


def made(name, *arguments):
    """Return `llama_sampler_init_<name>`."""
    return getattr(llama_cpp, f"llama_sampler_init_{name}")(*(int(x) if isinstance(x, np.integer) else x for x in arguments))


def chained(samplers):
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    for sampler in samplers:
        llama_cpp.llama_sampler_chain_add(chain, sampler)
    return chain


def applied(chain, row):
    """Return the candidates that are left, and the id of the one that is selected."""
    candidates = np.zeros(len(row), CANDIDATE)
    candidates["id"], candidates["logit"] = np.arange(len(row)), row
    pointer = candidates.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
    array = llama_cpp.llama_token_data_array(data=pointer, size=len(row), selected=-1, sorted=False)
    llama_cpp.llama_sampler_apply(chain, ctypes.byref(array))
    size = array.size * CANDIDATE.itemsize
    left = np.ctypeslib.as_array(ctypes.cast(array.data, ctypes.POINTER(ctypes.c_uint8)), (size,)).view(CANDIDATE).copy()
    return left, left["id"][array.selected] if 0 <= array.selected < len(left) else -1


def told(chain, history):
    for token in history:
        llama_cpp.llama_sampler_accept(chain, int(token))


def answers(logits, samplers, history):
    for index, row in enumerate(logits):
        chain = chained(samplers(index))
        told(chain, [] if history is None else history[index])
        yield applied(chain, row)
        llama_cpp.llama_sampler_free(chain)


def scattered(answers, shape):
    out = np.full(shape, -np.inf, np.float32)
    for index, (left, _) in enumerate(answers):
        out[index, left["id"]] = left["logit"]
    return out


def filtered(logits, samplers, history=None):
    return scattered(answers(logits, samplers, history), logits.shape)


def drawn(logits, samplers, history=None):
    return np.array([token for _, token in answers(logits, samplers, history)], np.int64)


def biased(size, bias):
    pairs = [llama_cpp.llama_logit_bias(token, addend) for token, addend in bias.items()]
    return made("logit_bias", size, len(pairs), (llama_cpp.llama_logit_bias * len(pairs))(*pairs))


def penalised(size, last_n, repetition, frequency, presence):
    if not (np.isfinite(repetition) and repetition > 0 and np.isfinite(frequency) and np.isfinite(presence)):
        raise ValueError("llama.h: penalty_repeat must be > 0.0, penalty_freq and penalty_present must be finite")
    return made("penalties", size, last_n, repetition, frequency, presence)


def dried(multiplier, base, length, last_n, breakers):
    if not len(breakers) or multiplier == 0 or not base >= 1 or last_n <= 0:
        return made("dry", None, multiplier, base, length, last_n, None, 0)
    make = ctypes.CDLL(llama_cpp.llama_cpp._lib._name)._Z30llama_sampler_init_dry_testingffiiRKSt6vectorIS_IiSaIiEESaIS1_EE
    make.restype = llama_cpp.llama_sampler_p_ctypes
    make.argtypes = [ctypes.c_float, ctypes.c_float, ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p]
    # a std::vector is three pointers: its begin, its end, and the end of its memory
    ids = np.array(breakers, np.int32)
    inner = np.array([[at, at + 4, at + 4] for at in ids.ctypes.data + 4 * np.arange(len(ids))], np.uint64)
    outer = np.array([inner.ctypes.data, inner.ctypes.data + inner.nbytes, inner.ctypes.data + inner.nbytes], np.uint64)
    return make(multiplier, base, int(length), int(last_n), outer.ctypes.data)


def bounded(size, version, tau, eta, seed):
    if version == 1:
        return made("mirostat", size, seed, tau, eta, 100)
    if version == 2:
        return made("mirostat_v2", seed, tau, eta)
    raise ValueError("mirostat is 1 or 2 where it is in the chain")


@sf.target(order=["temperature"], returns="tokens", per_row=True, dialect="llama.cpp", domain={"temperature": (0, 0)})
def greedy(logits, temperature):
    """llama_sampler_init_greedy, which is what T <= 0 asks for"""
    if not (temperature <= 0).all():
        raise ValueError("not greedy")
    return drawn(logits, lambda i: [made("greedy")])


@sf.target(order=["top_k"], returns="logits", per_row=True, dialect="llama.cpp")
def top_k(logits, top_k):
    """llama_sampler_init_top_k"""
    return filtered(logits, lambda i: [made("top_k", top_k[i])])


@sf.target(order=["top_p"], returns="logits", per_row=True, dialect="llama.cpp")
def top_p(logits, top_p, min_tokens_to_keep):
    """llama_sampler_init_top_p"""
    return filtered(logits, lambda i: [made("top_p", top_p[i], min_tokens_to_keep[i])])


@sf.target(order=["min_p"], returns="logits", per_row=True, dialect="llama.cpp")
def min_p(logits, min_p, min_tokens_to_keep):
    """llama_sampler_init_min_p"""
    return filtered(logits, lambda i: [made("min_p", min_p[i], min_tokens_to_keep[i])])


@sf.target(order=["typical_p"], returns="logits", per_row=True, dialect="llama.cpp")
def typical_p(logits, typical_p, min_tokens_to_keep):
    """llama_sampler_init_typical"""
    return filtered(logits, lambda i: [made("typical", typical_p[i], min_tokens_to_keep[i])])


@sf.target(order=["temperature"], returns="logits", per_row=True, dialect="llama.cpp")
def temperature(logits, temperature):
    """llama_sampler_init_temp"""
    return filtered(logits, lambda i: [made("temp", temperature[i])])


@sf.target(order=["dynatemp"], returns="logits", per_row=True, dialect="llama.cpp")
def dynatemp(logits, temperature, dynatemp_range, dynatemp_exponent):
    """llama_sampler_init_temp_ext"""
    return filtered(logits, lambda i: [made("temp_ext", temperature[i], dynatemp_range[i], dynatemp_exponent[i])])


@sf.target(order=["xtc"], returns="logits", per_row=True, dialect="llama.cpp")
def xtc(logits, xtc_threshold, xtc_probability, min_tokens_to_keep, seed):
    """llama_sampler_init_xtc"""
    keep = min_tokens_to_keep
    return filtered(logits, lambda i: [made("xtc", xtc_probability[i], xtc_threshold[i], keep[i], seed[i])])


@sf.target(order=["top_n_sigma"], returns="logits", per_row=True, dialect="llama.cpp")
def top_n_sigma(logits, top_n_sigma):
    """llama_sampler_init_top_n_sigma"""
    return filtered(logits, lambda i: [made("top_n_sigma", top_n_sigma[i])])


@sf.target(order=["logit_bias"], returns="logits", per_row=True, dialect="llama.cpp")
def logit_bias(logits, logit_bias):
    """llama_sampler_init_logit_bias"""
    return filtered(logits, lambda i: [biased(logits.shape[1], logit_bias[i])])


@sf.target(order=["repetition_penalty", "frequency_penalty", "presence_penalty"], returns="logits", per_row=True, dialect="llama.cpp")
def penalties(logits, history, repetition_penalty, frequency_penalty, presence_penalty, penalty_last_n):
    """llama_sampler_init_penalties"""
    own = list(zip(penalty_last_n, repetition_penalty, frequency_penalty, presence_penalty, strict=True))
    return filtered(logits, lambda i: [penalised(logits.shape[1], *own[i])], history)


@sf.target(order=["dry"], returns="logits", per_row=True, dialect="llama.cpp")
def dry(logits, history, dry_multiplier, dry_base, dry_allowed_length, dry_penalty_last_n, dry_sequence_breakers):
    """llama_sampler_init_dry, and with breakers llama_sampler_init_dry_testing"""
    own = list(zip(dry_multiplier, dry_base, dry_allowed_length, dry_penalty_last_n, dry_sequence_breakers, strict=True))
    return filtered(logits, lambda i: [dried(*own[i])], history)


@sf.target(order=["mirostat"], returns="logits", per_row=True, dialect="llama.cpp")
def mirostat(logits, mirostat, mirostat_tau, mirostat_eta, seed):
    """llama_sampler_init_mirostat or llama_sampler_init_mirostat_v2: what they leave to draw from at the first step"""
    own = list(zip(mirostat, mirostat_tau, mirostat_eta, seed, strict=True))
    return filtered(logits, lambda i: [bounded(logits.shape[1], *own[i])])


@sf.target(order=["adaptive_p"], returns="logits", per_row=True, dialect="llama.cpp")
def adaptive_p(logits, adaptive_target, adaptive_decay, seed):
    """llama_sampler_init_adaptive_p: what it makes of the logits at the first step"""
    own = list(zip(adaptive_target, adaptive_decay, seed, strict=True))
    return filtered(logits, lambda i: [made("adaptive_p", *own[i])])


# fmt: off
@sf.target(order=["top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "dynatemp"], returns="logits", per_row=True, dialect="llama.cpp")
def default_filters(logits, top_n_sigma, top_k, typical_p, top_p, min_p, xtc_threshold, xtc_probability, temperature, dynatemp_range, dynatemp_exponent, seed):
    """the filters of common_sampler_init, in its order"""
    return filtered(logits, lambda i: [
        made("top_n_sigma", top_n_sigma[i]), made("top_k", top_k[i]), made("typical", typical_p[i], 0), made("top_p", top_p[i], 0),
        made("min_p", min_p[i], 0), made("xtc", xtc_probability[i], xtc_threshold[i], 0, seed[i]),
        made("temp_ext", temperature[i], dynatemp_range[i], dynatemp_exponent[i]),
    ])


@sf.target(order=["top_k", "repetition_penalty", "frequency_penalty", "presence_penalty", "dry", "top_p", "temperature"], returns="logits", per_row=True, dialect="llama.cpp")
def penalties_late(logits, history, top_k, repetition_penalty, frequency_penalty, presence_penalty, penalty_last_n, dry_multiplier, top_p, temperature):
    """--samplers top_k;penalties;dry;top_p;temperature: llama.h advises to penalise what top-k left"""
    middle = list(zip(penalty_last_n, repetition_penalty, frequency_penalty, presence_penalty, strict=True))
    return filtered(logits, lambda i: [
        made("top_k", top_k[i]), penalised(logits.shape[1], *middle[i]), dried(dry_multiplier[i], 1.75, 2, 4096, []),
        made("top_p", top_p[i], 0), made("temp_ext", temperature[i], 0.0, 1.0),
    ], history)


@sf.target(order=["top_k", "logit_bias", "top_p"], returns="logits", per_row=True, dialect="llama.cpp")
def bias_between_filters(logits, top_k, logit_bias, top_p):
    """llama_sampler_init_logit_bias after llama_sampler_init_top_k and before llama_sampler_init_top_p"""
    size = logits.shape[1]
    return filtered(logits, lambda i: [made("top_k", top_k[i]), biased(size, logit_bias[i]), made("top_p", top_p[i], 0)])


def drawn_by_python(row, output, seed, **parameters):
    """Return what the chain of llama-cpp-python's `create_completion` draws."""
    llama = types.SimpleNamespace(_n_vocab=len(row), _seed=int(seed), last_n_tokens_size=4096)
    sampler = llama_cpp.Llama._init_sampler(llama, **parameters)
    told(sampler.sampler, output)
    _, token = applied(sampler.sampler, row)
    sampler.close()
    return int(token)


@sf.target(order=["repetition_penalty", "frequency_penalty", "presence_penalty", "top_k", "typical_p", "top_p", "min_p", "temperature"], returns="tokens", per_row=True)
def python_sampler(logits, output, repetition_penalty, frequency_penalty, presence_penalty, top_k, typical_p, top_p, min_p, temperature, seed):
    """llama_cpp.Llama._init_sampler, the chain of llama-cpp-python's create_completion"""
    return np.array([drawn_by_python(
        row, output[i], seed[i], top_k=int(top_k[i]), top_p=top_p[i], min_p=min_p[i], typical_p=typical_p[i], temp=temperature[i],
        repeat_penalty=repetition_penalty[i], frequency_penalty=frequency_penalty[i], presence_penalty=presence_penalty[i], mirostat_mode=0,
    ) for i, row in enumerate(logits)])


@sf.target(order=["temperature", "mirostat"], returns="tokens", per_row=True, dialect="llama.cpp")
def python_mirostat(logits, temperature, mirostat, mirostat_tau, mirostat_eta, seed):
    """llama_cpp.Llama._init_sampler with mirostat_mode, the first draw"""
    if not np.isin(mirostat, (1, 2)).all():
        raise ValueError("mirostat_mode is 1 or 2 where it is on")
    return np.array([drawn_by_python(
        row, [], seed[i], temp=temperature[i], mirostat_mode=int(mirostat[i]), mirostat_tau=mirostat_tau[i], mirostat_eta=mirostat_eta[i],
        repeat_penalty=1.0, frequency_penalty=0.0, presence_penalty=0.0,
    ) for i, row in enumerate(logits)])
# fmt: on


class Stream:
    """A chain for each row, and the prompts that it was told."""

    chains = ()

    def begin(self, chains, history):
        self.chains, self.prompts, self.pending = chains, history, ()
        for chain, ids in zip(self.chains, self.prompts, strict=True):
            told(chain, ids)

    def accept(self, tokens):
        for chain, token in zip(self.chains, tokens, strict=True):
            told(chain, [token])

    def reset(self):
        for chain in self.chains:
            llama_cpp.llama_sampler_reset(chain)
        self.begin(self.chains, self.prompts)

    def clone(self):
        twin = copy.copy(self)
        twin.chains = [llama_cpp.llama_sampler_clone(chain) for chain in self.chains]
        return twin

    def filtered(self, logits):
        return scattered((applied(chain, row) for chain, row in zip(self.chains, logits, strict=True)), logits.shape)

    def drawn(self, logits):
        return np.array([applied(chain, row)[1] for chain, row in zip(self.chains, logits, strict=True)], np.int64)

    def __del__(self):
        for chain in self.chains:
            llama_cpp.llama_sampler_free(chain)


@sf.target(order=[], returns="tokens", per_row=True, dialect="llama.cpp")
class Dist(Stream):
    """llama_sampler_init_dist, step after step"""

    def __init__(self, seed):
        self.begin([chained([made("dist", own)]) for own in seed], [[] for _ in seed])

    step = Stream.drawn


@sf.target(order=["repetition_penalty", "frequency_penalty", "presence_penalty"], returns="logits", per_row=True, dialect="llama.cpp")
class Penalties(Stream):
    """llama_sampler_init_penalties and llama_sampler_accept, step after step"""

    def __init__(self, history, repetition_penalty, frequency_penalty, presence_penalty, penalty_last_n):
        self.own = list(zip(penalty_last_n, repetition_penalty, frequency_penalty, presence_penalty, strict=True))
        self.history = history

    def step(self, logits):
        if not self.chains:
            self.begin([chained([penalised(logits.shape[1], *values)]) for values in self.own], self.history)
        return self.filtered(logits)


@sf.target(order=["dry"], returns="logits", per_row=True, dialect="llama.cpp")
class Dry(Stream):
    """llama_sampler_init_dry and llama_sampler_accept, step after step"""

    def __init__(self, history, dry_multiplier, dry_base, dry_allowed_length, dry_penalty_last_n, dry_sequence_breakers):
        own = zip(dry_multiplier, dry_base, dry_allowed_length, dry_penalty_last_n, dry_sequence_breakers, strict=True)
        self.begin([chained([dried(*values)]) for values in own], history)

    step = Stream.filtered


@sf.target(order=["temperature", "mirostat"], returns="tokens", per_row=True, dialect="llama.cpp")
class Mirostat(Stream):
    """llama_sampler_init_temp, then llama_sampler_init_mirostat or llama_sampler_init_mirostat_v2, as common_sampler_init has it"""

    def __init__(self, temperature, mirostat, mirostat_tau, mirostat_eta, seed):
        self.own = list(zip(temperature, mirostat, mirostat_tau, mirostat_eta, seed, strict=True))

    def step(self, logits):
        if not self.chains:
            size = logits.shape[1]
            chains = [chained([made("temp", t), bounded(size, *values)]) for t, *values in self.own]
            self.begin(chains, [[] for _ in chains])
        return self.drawn(logits)


@sf.target(order=["adaptive_p"], returns="tokens", per_row=True, dialect="llama.cpp")
class AdaptiveP(Stream):
    """llama_sampler_init_adaptive_p and llama_sampler_accept, step after step"""

    def __init__(self, adaptive_target, adaptive_decay, seed):
        own = zip(adaptive_target, adaptive_decay, seed, strict=True)
        self.begin([chained([made("adaptive_p", t, d, s)]) for t, d, s in own], [[] for _ in seed])

    step = Stream.drawn


@sf.target(order=["adaptive_p"], returns="tokens", per_row=True, dialect="llama.cpp")
class AdaptivePAcceptedLater(AdaptiveP):
    """llama_sampler_init_adaptive_p with llama_sampler_accept right before the next step, so that a clone is made of a pending draw"""

    def accept(self, tokens):
        self.pending = tokens

    def step(self, logits):
        for chain, token in zip(self.chains, self.pending, strict=False):
            told(chain, [token])
        return self.drawn(logits)


# fmt: off
@sf.target(order=["repetition_penalty", "frequency_penalty", "presence_penalty", "dry", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature"], returns="tokens", per_row=True, dialect="llama.cpp")
class Default(Stream):
    """the default chain of common_sampler_init with llama_sampler_init_dist, step after step"""

    def __init__(
        self, history, repetition_penalty, frequency_penalty, presence_penalty, penalty_last_n, dry_multiplier, top_n_sigma, top_k, typical_p,
        top_p, min_p, xtc_threshold, xtc_probability, temperature, seed,
    ):
        self.history = history
        self.penalties = list(zip(penalty_last_n, repetition_penalty, frequency_penalty, presence_penalty, strict=True))
        self.rest = list(zip(
            dry_multiplier, top_n_sigma, top_k, typical_p, top_p, min_p, xtc_probability, xtc_threshold, temperature, seed, strict=True
        ))

    def made(self, size, penalties, multiplier, sigma, k, typical, p, least, probability, threshold, temperature, seed):
        return chained([
            penalised(size, *penalties), dried(multiplier, 1.75, 2, 4096, []), made("top_n_sigma", sigma), made("top_k", k),
            made("typical", typical, 0), made("top_p", p, 0), made("min_p", least, 0), made("xtc", probability, threshold, 0, seed),
            made("temp_ext", temperature, 0.0, 1.0), made("dist", seed),
        ])

    def step(self, logits):
        if not self.chains:
            own = zip(self.penalties, self.rest, strict=True)
            self.begin([self.made(logits.shape[1], penalties, *rest) for penalties, rest in own], self.history)
        return self.drawn(logits)
# fmt: on
