"""vLLM, in an environment with torch 2.13.0 and vllm 0.33.0 without its dependencies, the small ones added as they are asked for.

Its parameters as `SamplingParams` checks them, and the v1 `Sampler` in its native PyTorch form, asked for the logits that it draws from.
"""

import types

import torch
import vllm
import vllm.v1.sample.ops.penalties as penalties
from rows import one, softmax
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessors, MinPLogitsProcessor
from vllm.v1.sample.metadata import SamplingMetadata
from vllm.v1.sample.sampler import Sampler

ORIGIN, ONE_FILTER = "ran", False
TAKES = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
penalties.PIN_MEMORY = False


def version():
    return vllm.__version__


def run(row, parameters, history, prompt):
    given = SamplingParams(**parameters)
    greedy = given.temperature < 1e-5
    config = types.SimpleNamespace(scheduler_config=types.SimpleNamespace(max_num_seqs=1))
    min_p = MinPLogitsProcessor(config, torch.device("cpu"), False)
    min_p.update_state(BatchUpdate(batch_size=1, removed=[], added=[(0, given, None, [])], moved=[]))
    size = len(row)
    metadata = SamplingMetadata(
        temperature=torch.tensor([given.temperature]),
        all_greedy=greedy,
        all_random=not greedy,
        top_p=torch.tensor([given.top_p]) if given.top_p < 1 else None,
        top_k=torch.tensor([given.top_k]) if 0 < given.top_k < size else None,
        generators={},
        max_num_logprobs=size,
        no_penalties=not {"repetition_penalty", "presence_penalty", "frequency_penalty"} & set(parameters),
        prompt_token_ids=torch.tensor([history[:prompt]]),
        frequency_penalties=torch.tensor([given.frequency_penalty]),
        presence_penalties=torch.tensor([given.presence_penalty]),
        repetition_penalties=torch.tensor([given.repetition_penalty]),
        output_token_ids=[history[prompt:]],
        allowed_token_ids_mask=None,
        bad_words_token_ids={},
        logitsprocs=LogitsProcessors([min_p]),
    )
    answer = Sampler("processed_logits")(torch.tensor([row]), metadata)
    if greedy:
        return one(answer.sampled_token_ids[0, 0].item(), size)
    shown = answer.logprobs_tensors
    left = [float("-inf")] * size
    for token, logit in zip(shown.logprob_token_ids[0].tolist(), shown.logprobs[0].tolist(), strict=True):
        left[token] = logit
    return softmax(left)
