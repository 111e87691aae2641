"""vLLM: its operations in PyTorch, its logits processors, and its v1 sampler on a batch of requests that `SamplingParams` has checked.

In an environment with torch and vllm, whose own dependencies are left out but for those that its import needs. Requests enter a batch as
they do in the engine: `InputBatch` makes the metadata that `Sampler` reads. Nothing of it computes on anything but the CPU, where this
build of vLLM takes the native PyTorch path. Where triton is installed, the kernels that take its place on a GPU run in Triton's interpreter,
in tiles as large as there.
"""

import dataclasses
import importlib.util
import logging
import os
import types

import numpy as np

import samplerfuzz as sf

# kernels are made for the interpreter, and no GPU is looked for
os.environ |= {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
import torch
import vllm
import vllm.utils.torch_utils

# only a GPU can pin memory, and whatever is imported later asks for it
vllm.utils.torch_utils.PIN_MEMORY = False
import vllm.v1.sample.logits_processor as processing
import vllm.v1.sample.ops.topk_topp_sampler
import vllm.v1.sample.ops.topk_topp_triton as kernels
import vllm.v1.worker.gpu_input_batch
from vllm import SamplingParams
from vllm.sampling_params import SamplingType
from vllm.v1.sample.ops.bad_words import apply_bad_words
from vllm.v1.sample.ops.penalties import apply_all_penalties
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch, random_sample
from vllm.v1.sample.sampler import Sampler
from vllm.v1.worker.gpu_input_batch import CachedRequestState, InputBatch

KERNELS = ("triton_top_k", "triton_top_p", "triton_top_k_top_p", "triton_top_p_split")
LACKS = {} if importlib.util.find_spec("triton") else dict.fromkeys(KERNELS, "triton is not installed beside vllm")
# the sampler itself takes the native path
vllm.v1.sample.ops.topk_topp_sampler.HAS_TRITON = False
CPU = torch.device("cpu")
# every temperature under 0.01 is a warning of its own
logging.getLogger("vllm").setLevel(logging.ERROR)
# a batch counts the blocks of a cache that is not there
vllm.v1.worker.gpu_input_batch.MultiGroupBlockTable = lambda **settings: types.SimpleNamespace(
    add_row=lambda blocks, row: None, clear_row=lambda row: None, move_row=lambda source, row: None
)


def version():
    return f"vllm {vllm.__version__}, torch {torch.__version__}"


def requests(size, **given):
    """Each row's parameters as vLLM takes them from a user, checked against the vocabulary."""
    model = types.SimpleNamespace(get_vocab_size=lambda: size, max_logprobs=-1, is_diffusion=False)
    neutral = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": None, "logit_bias": None}
    neutral |= {"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "allowed_token_ids": None}
    checked = []
    for row in zip(*given.values(), strict=True):
        asked = SamplingParams(
            **{**neutral, **{name: getattr(value, "tolist", lambda v=value: v)() for name, value in zip(given, row, strict=True)}}
        )
        asked.verify(model, None, None, None)
        checked.append(asked)
    return checked


def ids_of(tokens, size):
    """Token ids of each row; the engine refuses a prompt with ids that the vocabulary does not have, and draws no such token."""
    for row in tokens:
        if len(row) and not 0 <= row.min() <= row.max() < size:
            raise ValueError(f"token id outside [0, {size})")
    return [row.tolist() for row in tokens]


def filters(asked, size):
    """Top-k and top-p as a batch of these requests holds them: None where no request uses it."""
    k = torch.tensor([one.top_k if 0 < one.top_k < size else size for one in asked], dtype=torch.int32)
    p = torch.tensor([one.top_p for one in asked], dtype=torch.float32)
    return k if (k < size).any() else None, p if any(one.top_p < 1 for one in asked) else None


def updated(processor, asked):
    """A logits processor that has been told of the requests in a new batch."""
    added = [(row, one, None, []) for row, one in enumerate(asked)]
    processor.update_state(processing.BatchUpdate(batch_size=len(asked), removed=[], added=added, moved=[]))
    return processor


def settings(rows):
    return types.SimpleNamespace(scheduler_config=types.SimpleNamespace(max_num_seqs=rows))


def processors(rows):
    kinds = (processing.MinTokensLogitsProcessor, processing.LogitBiasLogitsProcessor, processing.MinPLogitsProcessor)
    return processing.LogitsProcessors([kind(settings(rows), CPU, False) for kind in kinds])


def enter(batch, name, asked, prompt, output):
    """Put a request into a batch, as the engine does when it is scheduled for the first time."""
    generator = None
    if asked.sampling_type == SamplingType.RANDOM_SEED:
        generator = torch.Generator(device=CPU)
        generator.manual_seed(asked.seed)
    state = CachedRequestState(
        req_id=name,
        prompt_token_ids=prompt,
        mm_features=[],
        sampling_params=asked,
        generator=generator,
        block_ids=([],),
        num_computed_tokens=len(prompt),
        output_token_ids=output,
    )
    batch.add_request(state)


def empty_batch(rows, size, longest):
    return InputBatch(
        max_num_reqs=rows,
        max_model_len=longest + 1,
        max_num_batched_tokens=rows,
        device=CPU,
        vocab_size=size,
        block_sizes=[16],
        max_num_blocks_per_req=[1],
        logitsprocs=processors(rows),
    )


def batch_of(asked, size, prompt, output):
    """A batch that these requests entered in their order."""
    batch = empty_batch(len(asked), size, max(len(before) + len(after) for before, after in zip(prompt, output)))
    for row, one in enumerate(asked):
        enter(batch, str(row), one, prompt[row], output[row])
    batch.refresh_metadata()
    return batch


def worn_batch(asked, size, prompt, output):
    """The same requests in a batch that others were in before and between them, which have ended; it was condensed since."""
    rows = len(asked)
    batch = empty_batch(2 * rows + 1, size, 1 + max(len(before) + len(after) for before, after in zip(prompt, output)))
    other = {"temperature": 0.7, "top_k": 1, "top_p": 0.3, "min_p": 0.9, "repetition_penalty": 1.9, "presence_penalty": 2.0, "seed": 5}
    for row, one in enumerate(asked):
        passing = SamplingParams(**other, logit_bias={0: 50.0}, allowed_token_ids=[size - 1])
        enter(batch, f"passing {row}", passing, [0], [0])
        if row % 2:
            enter(batch, str(row), one, prompt[row], output[row])
    batch.condense()
    batch.refresh_metadata()
    for row in range(rows):
        batch.remove_request(f"passing {row}")
    for row, one in enumerate(asked):
        if row % 2 == 0:
            enter(batch, str(row), one, prompt[row], output[row])
    batch.condense()
    batch.refresh_metadata()
    return batch


def sampled(batch, logits, mode, exact=False):
    """What the sampler makes of the logits [B, V], whose rows are in the order of the requests; log-probabilities of all tokens."""
    order = [int(name) for name in batch.req_ids]
    answer = Sampler(mode, exact)(torch.tensor(logits[order]), dataclasses.replace(batch.sampling_metadata, max_num_logprobs=-1))
    tokens = np.empty(len(order), np.int64)
    tokens[order] = answer.sampled_token_ids[:, 0].numpy()
    return answer.logprobs_tensors.logprobs, tokens, order


def drawn_from(batch, logits):
    """The logits [B, V] that the sampler draws from; of a greedy request only the token that it takes."""
    shown, tokens, order = sampled(batch, logits, "processed_logits")
    left = np.empty(logits.shape, np.float32)
    left[order] = shown.numpy()
    for row in map(int, batch.greedy_reqs):
        left[row] = -np.inf
        left[row, tokens[row]] = 0.0
    return left


@sf.target(order=["top_k"], returns="logits", per_row=True, dialect="vllm")
def top_k(logits, top_k):
    """apply_top_k_top_p_pytorch with top-k alone, as on a CPU: no sort"""
    k, p = filters(requests(logits.shape[1], top_k=top_k), logits.shape[1])
    return apply_top_k_top_p_pytorch(torch.tensor(logits), k, p, allow_cpu_sync=True).numpy()


@sf.target(order=["top_k"], returns="logits", per_row=True, dialect="vllm")
def top_k_sorted(logits, top_k):
    """apply_top_k_top_p_pytorch with top-k alone, as on an accelerator: sorted"""
    k, p = filters(requests(logits.shape[1], top_k=top_k), logits.shape[1])
    return apply_top_k_top_p_pytorch(torch.tensor(logits), k, p, allow_cpu_sync=False).numpy()


@sf.target(order=["top_p"], returns="logits", per_row=True, dialect="vllm")
def top_p(logits, top_p):
    """apply_top_k_top_p_pytorch with top-p alone"""
    k, p = filters(requests(logits.shape[1], top_p=top_p), logits.shape[1])
    return apply_top_k_top_p_pytorch(torch.tensor(logits), k, p, allow_cpu_sync=True).numpy()


@sf.target(order=["top_k", "top_p"], returns="logits", per_row=True, dialect="vllm")
def top_k_top_p(logits, top_k, top_p):
    """apply_top_k_top_p_pytorch"""
    k, p = filters(requests(logits.shape[1], top_k=top_k, top_p=top_p), logits.shape[1])
    return apply_top_k_top_p_pytorch(torch.tensor(logits), k, p, allow_cpu_sync=True).numpy()


class Row(int):
    """A row's number with the one method of a tensor that a kernel calls; Triton's interpreter counts in integers."""

    def to(self, dtype):
        return self


def launched(logits, buffer, percentiles, quantiles, k, p, mask, programs):
    """Run the kernel for many rows, with the tiles that it has on a GPU."""
    rows, size = logits.shape
    kernels._topk_topp_kernel[(min(programs, rows),)](
        LOGITS=logits,
        LOGITS_STRIDE_0=logits.stride(0),
        BUFFER=buffer,
        PERCENTILE_TO_STD_TABLE=percentiles,
        NORMAL_CDF_TO_SIGMA_TABLE=quantiles,
        K=logits if k is None else k,
        P=logits if p is None else p,
        BATCH_SIZE=rows,
        VOCAB_SIZE=size,
        MASK_VALUE=mask,
        BLOCK_SIZE=8192,
        BLOCK_SIZE_TRUNC=4096,
        TOPK_ENABLED=k is not None,
        TOPP_ENABLED=p is not None,
        SPLIT_COVERS_PONLY=False,
    )


def interpreted():
    """Make the interpreter count in rows, and the wrapper ask for no more than it has."""
    import triton.runtime.interpreter

    triton.runtime.interpreter.range = lambda *bounds: map(Row, range(*bounds))
    kernels.num_compute_units = lambda device: 132
    kernels._topk_topp = launched


@sf.target(order=["top_k"], returns="logits", per_row=True, dialect="vllm")
def triton_top_k(logits, top_k):
    """apply_top_k_top_p_triton with top-k alone"""
    interpreted()
    k, p = filters(requests(logits.shape[1], top_k=top_k), logits.shape[1])
    return kernels.apply_top_k_top_p_triton(torch.tensor(logits), k, p).numpy()


@sf.target(order=["top_p"], returns="logits", per_row=True, dialect="vllm")
def triton_top_p(logits, top_p):
    """apply_top_k_top_p_triton with top-p alone, as for many rows"""
    interpreted()
    k, p = filters(requests(logits.shape[1], top_p=top_p), logits.shape[1])
    return kernels.apply_top_k_top_p_triton(torch.tensor(logits), k, p).numpy()


@sf.target(order=["top_k", "top_p"], returns="logits", per_row=True, dialect="vllm")
def triton_top_k_top_p(logits, top_k, top_p):
    """apply_top_k_top_p_triton, as for many rows"""
    interpreted()
    k, p = filters(requests(logits.shape[1], top_k=top_k, top_p=top_p), logits.shape[1])
    return kernels.apply_top_k_top_p_triton(torch.tensor(logits), k, p).numpy()


@sf.target(order=["top_p"], returns="logits", per_row=True, dialect="vllm")
def triton_top_p_split(logits, top_p):
    """_apply_topp_split, what apply_top_k_top_p_triton calls for top-p alone and at most 64 rows, on one multiprocessor"""
    interpreted()
    p = filters(requests(logits.shape[1], top_p=top_p), logits.shape[1])[1]
    left = torch.tensor(logits)
    if p is not None:
        kernels._apply_topp_split(left, None, p, float("-inf"), 1)
    return left.numpy()


@sf.target(order=["min_p"], returns="logits", per_row=True, dialect="vllm")
def min_p(logits, min_p):
    """MinPLogitsProcessor"""
    processor = updated(processing.MinPLogitsProcessor(settings(len(logits)), CPU, False), requests(logits.shape[1], min_p=min_p))
    return processor.apply(torch.tensor(logits)).numpy()


@sf.target(order=["logit_bias"], returns="logits", per_row=True, dialect="vllm")
def logit_bias(logits, logit_bias):
    """LogitBiasLogitsProcessor"""
    processor = updated(
        processing.LogitBiasLogitsProcessor(settings(len(logits)), CPU, False), requests(logits.shape[1], logit_bias=logit_bias)
    )
    return processor.apply(torch.tensor(logits)).numpy()


@sf.target(order=["forbidden_tokens"], returns="logits", per_row=True, dialect="vllm")
def bad_words(logits, forbidden_tokens, output):
    """apply_bad_words, each word one token"""
    ids = ids_of([np.array(row, np.int64) for row in forbidden_tokens], logits.shape[1])
    left = torch.tensor(logits)
    apply_bad_words(left, {row: [[token] for token in tokens] for row, tokens in enumerate(ids)}, ids_of(output, logits.shape[1]))
    return left.numpy()


@sf.target(order=["repetition_penalty", "frequency_penalty", "presence_penalty"], returns="logits", per_row=True, dialect="vllm")
def all_penalties(logits, repetition_penalty, frequency_penalty, presence_penalty, prompt, output):
    """apply_all_penalties"""
    size = logits.shape[1]
    given = {"repetition_penalty": repetition_penalty, "frequency_penalty": frequency_penalty, "presence_penalty": presence_penalty}
    asked = requests(size, **given)
    before = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in ids_of(prompt, size)], batch_first=True, padding_value=size)
    return apply_all_penalties(
        torch.tensor(logits),
        before.long(),
        torch.tensor([one.presence_penalty for one in asked]),
        torch.tensor([one.frequency_penalty for one in asked]),
        torch.tensor([one.repetition_penalty for one in asked]),
        ids_of(output, size),
    ).numpy()


@sf.target(order=[], returns="tokens", per_row=True)
def random(logits, seed):
    """random_sample of float32 probabilities, a generator for every row"""
    generators = {row: torch.Generator(device=CPU).manual_seed(value) for row, value in enumerate(seed.tolist())}
    return random_sample(torch.tensor(logits).softmax(-1), generators, False).numpy()


@sf.target(returns="logits", per_row=True, dialect="vllm")
def sampler(logits, temperature, min_p, top_k, top_p):
    """SamplingParams, InputBatch, and the logits that Sampler draws from"""
    rows, size = logits.shape
    asked = requests(size, temperature=temperature, min_p=min_p, top_k=top_k, top_p=top_p)
    return drawn_from(batch_of(asked, size, [[0]] * rows, [[] for _ in range(rows)]), logits)


@sf.target(returns="logits", per_row=True, dialect="vllm")
def sampler_everything(
    logits,
    allowed_tokens,
    logit_bias,
    repetition_penalty,
    frequency_penalty,
    presence_penalty,
    temperature,
    min_p,
    top_k,
    top_p,
    prompt,
    output,
):
    """The same with every parameter: lists of tokens, bias, penalties"""
    given = {"temperature": temperature, "min_p": min_p, "top_k": top_k, "top_p": top_p, "logit_bias": logit_bias}
    given |= {"repetition_penalty": repetition_penalty, "frequency_penalty": frequency_penalty, "presence_penalty": presence_penalty}
    size = logits.shape[1]
    asked = requests(size, allowed_token_ids=allowed_tokens, **given)
    return drawn_from(batch_of(asked, size, ids_of(prompt, size), ids_of(output, size)), logits)


@sf.target(returns="logits", per_row=True, dialect="vllm")
def sampler_worn(
    logits, allowed_tokens, logit_bias, repetition_penalty, frequency_penalty, temperature, min_p, top_k, top_p, prompt, output
):
    """The same in a batch that other requests have left, condensed"""
    given = {"temperature": temperature, "min_p": min_p, "top_k": top_k, "top_p": top_p, "logit_bias": logit_bias}
    given |= {"repetition_penalty": repetition_penalty, "frequency_penalty": frequency_penalty, "allowed_token_ids": allowed_tokens}
    size = logits.shape[1]
    asked = requests(size, **given)
    return drawn_from(worn_batch(asked, size, ids_of(prompt, size), ids_of(output, size)), logits)


@sf.target(returns="tokens", per_row=True, dialect="vllm")
def draw(logits, temperature, min_p, top_k, top_p, seed):
    """A token of each request from Sampler, each request with its seed"""
    rows, size = logits.shape
    asked = requests(size, temperature=temperature, min_p=min_p, top_k=top_k, top_p=top_p, seed=seed)
    return sampled(batch_of(asked, size, [[0]] * rows, [[] for _ in range(rows)]), logits, "raw_logprobs")[1]


@sf.target(returns="tokens", per_row=True, dialect="vllm")
def draw_worn(logits, temperature, min_p, top_k, top_p, seed):
    """The same in a batch that other requests have left, condensed"""
    rows, size = logits.shape
    asked = requests(size, temperature=temperature, min_p=min_p, top_k=top_k, top_p=top_p, seed=seed)
    return sampled(worn_batch(asked, size, [[0]] * rows, [[] for _ in range(rows)]), logits, "raw_logprobs")[1]


@sf.target(returns="tokens", per_row=True, dialect="vllm")
def draw_double(logits, temperature, min_p, top_k, top_p, seed):
    """A token of each request from Sampler, its noise in float64"""
    rows, size = logits.shape
    asked = requests(size, temperature=temperature, min_p=min_p, top_k=top_k, top_p=top_p, seed=seed)
    return sampled(batch_of(asked, size, [[0]] * rows, [[] for _ in range(rows)]), logits, "raw_logprobs", True)[1]
