"""transformers: each logits processor alone, the chain that a GenerationConfig makes of them, `generate`, and continuous batching.

In an environment with torch and transformers. A processor is given float32 scores [B, V], low-precision ones where its name says so, and
`input_ids`, the tokens so far. A tensor holds rows of one length: shorter ones are padded on the left with token 0, as a tokenizer
does, and the processors are told of the padding in the way that `generate` tells them. `generate` runs on a model that answers every
prompt with given logits; each prompt begins with an id that the head does not have, for none may be empty.
"""

import numpy as np
import torch
import transformers
from transformers.generation.continuous_batching.cb_logits_processors import ContinuousBatchingLogitsProcessorList
from transformers.generation.continuous_batching.requests import FutureRequestState, RequestState
from transformers.generation.logits_process import PrefixConstrainedLogitsProcessor
from transformers.generation.utils import _speculative_sampling
from transformers.modeling_outputs import CausalLMOutput

import samplerfuzz as sf

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

LACKS = {} if hasattr(transformers, "TopHLogitsWarper") else {"top_h": f"transformers {transformers.__version__} has no TopHLogitsWarper"}


class Config(transformers.PretrainedConfig):
    model_type = "given_logits"


class Model(transformers.PreTrainedModel, transformers.GenerationMixin):
    config_class = Config
    main_input_name = "input_ids"

    def __init__(self, config):
        super().__init__(config)
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.given = None

    def forward(self, input_ids, attention_mask=None, **kwargs):
        return CausalLMOutput(logits=self.given[:, None].expand(-1, input_ids.shape[1], -1))


def version():
    return f"transformers {transformers.__version__}, torch {torch.__version__}"


def padded(history):
    longest = max(len(ids) for ids in history)
    short = np.array([longest - len(ids) for ids in history])
    rows = [np.concatenate([np.zeros(n, np.int64), ids]) for n, ids in zip(short, history)]
    return torch.tensor(np.array(rows, np.int64).reshape(len(history), longest)), torch.tensor(short)


def processed(processor, logits, ids=None, dtype=torch.float32):
    ids = torch.zeros((len(logits), 0), dtype=torch.int64) if ids is None else ids
    return processor(ids, torch.tensor(logits).to(dtype)).float().numpy()


@sf.target(order=["temperature"], returns="logits", dialect="transformers")
def temperature(logits, temperature):
    """TemperatureLogitsWarper"""
    return processed(transformers.TemperatureLogitsWarper(temperature), logits)


@sf.target(order=["top_h"], returns="logits", dialect="transformers")
def top_h(logits, top_h):
    """TopHLogitsWarper"""
    return processed(transformers.TopHLogitsWarper(top_h), logits)


@sf.target(order=["top_k"], returns="logits", dialect="transformers")
def top_k(logits, top_k, min_tokens_to_keep):
    """TopKLogitsWarper"""
    return processed(transformers.TopKLogitsWarper(top_k, min_tokens_to_keep=min_tokens_to_keep), logits)


@sf.target(order=["top_p"], returns="logits", dialect="transformers")
def top_p(logits, top_p, min_tokens_to_keep):
    """TopPLogitsWarper"""
    return processed(transformers.TopPLogitsWarper(top_p, min_tokens_to_keep=min_tokens_to_keep), logits)


@sf.target(order=["top_p"], returns="logits", dialect="transformers", dtype="bfloat16")
def top_p_bfloat16(logits, top_p, min_tokens_to_keep):
    """TopPLogitsWarper on bfloat16 scores"""
    return processed(transformers.TopPLogitsWarper(top_p, min_tokens_to_keep=min_tokens_to_keep), logits, dtype=torch.bfloat16)


@sf.target(order=["min_p"], returns="logits", dialect="transformers")
def min_p(logits, min_p, min_tokens_to_keep):
    """MinPLogitsWarper"""
    return processed(transformers.MinPLogitsWarper(min_p, min_tokens_to_keep=min_tokens_to_keep), logits)


@sf.target(order=["min_p"], returns="logits", dialect="transformers", dtype="float16")
def min_p_float16(logits, min_p, min_tokens_to_keep):
    """MinPLogitsWarper on float16 scores"""
    return processed(transformers.MinPLogitsWarper(min_p, min_tokens_to_keep=min_tokens_to_keep), logits, dtype=torch.float16)


@sf.target(order=["typical_p"], returns="logits", dialect="transformers", domain={"typical_p": (0.001, 0.999)})
def typical_p(logits, typical_p, min_tokens_to_keep):
    """TypicalLogitsWarper"""
    return processed(transformers.TypicalLogitsWarper(typical_p, min_tokens_to_keep=min_tokens_to_keep), logits)


@sf.target(order=["typical_p"], returns="logits", dialect="transformers", dtype="bfloat16", domain={"typical_p": (0.001, 0.999)})
def typical_p_bfloat16(logits, typical_p, min_tokens_to_keep):
    """TypicalLogitsWarper on bfloat16 scores"""
    return processed(transformers.TypicalLogitsWarper(typical_p, min_tokens_to_keep=min_tokens_to_keep), logits, dtype=torch.bfloat16)


@sf.target(order=["epsilon_cutoff"], returns="logits", dialect="transformers")
def epsilon_cutoff(logits, epsilon_cutoff, min_tokens_to_keep):
    """EpsilonLogitsWarper"""
    return processed(transformers.EpsilonLogitsWarper(epsilon_cutoff, min_tokens_to_keep=min_tokens_to_keep), logits)


@sf.target(order=["eta_cutoff"], returns="logits", dialect="transformers")
def eta_cutoff(logits, eta_cutoff, min_tokens_to_keep):
    """EtaLogitsWarper"""
    return processed(transformers.EtaLogitsWarper(eta_cutoff, min_tokens_to_keep=min_tokens_to_keep, device="cpu"), logits)


@sf.target(order=["eta_cutoff"], returns="logits", dialect="transformers", dtype="float16")
def eta_cutoff_float16(logits, eta_cutoff, min_tokens_to_keep):
    """EtaLogitsWarper on float16 scores"""
    processor = transformers.EtaLogitsWarper(eta_cutoff, min_tokens_to_keep=min_tokens_to_keep, device="cpu")
    return processed(processor, logits, dtype=torch.float16)


@sf.target(order=["repetition_penalty"], returns="logits", dialect="transformers")
def repetition_penalty(logits, repetition_penalty, history):
    """RepetitionPenaltyLogitsProcessor"""
    ids, padding = padded(history)
    return processed(transformers.RepetitionPenaltyLogitsProcessor(repetition_penalty, prompt_ignore_length=padding), logits, ids)


@sf.target(order=["repetition_penalty"], returns="logits", dialect="transformers", dtype="bfloat16")
def repetition_penalty_bfloat16(logits, repetition_penalty, history):
    """RepetitionPenaltyLogitsProcessor on bfloat16 scores"""
    ids, padding = padded(history)
    processor = transformers.RepetitionPenaltyLogitsProcessor(repetition_penalty, prompt_ignore_length=padding)
    return processed(processor, logits, ids, dtype=torch.bfloat16)


@sf.target(order=["logit_bias"], returns="logits", dialect="transformers")
def sequence_bias(logits, logit_bias):
    """SequenceBiasLogitsProcessor with sequences of one token"""
    if not logit_bias:
        return logits
    pairs = [[[int(token)], float(bias)] for token, bias in logit_bias.items()]
    return processed(transformers.SequenceBiasLogitsProcessor(pairs), logits)


@sf.target(order=["forbidden_tokens"], returns="logits", dialect="transformers")
def suppress_tokens(logits, forbidden_tokens):
    """SuppressTokensLogitsProcessor"""
    return processed(transformers.SuppressTokensLogitsProcessor(forbidden_tokens, device="cpu"), logits)


@sf.target(order=["forbidden_tokens"], returns="logits", dialect="transformers")
def begin_suppress_tokens(logits, forbidden_tokens):
    """SuppressTokensAtBeginLogitsProcessor at the first token"""
    return processed(transformers.SuppressTokensAtBeginLogitsProcessor(forbidden_tokens, 0, device="cpu"), logits)


@sf.target(order=["forbidden_tokens"], returns="logits", dialect="transformers")
def bad_words(logits, forbidden_tokens):
    """NoBadWordsLogitsProcessor with words of one token"""
    if not forbidden_tokens:
        return logits
    return processed(transformers.NoBadWordsLogitsProcessor([[token] for token in forbidden_tokens], eos_token_id=None), logits)


@sf.target(order=["allowed_tokens"], returns="logits")
def prefix_allowed_tokens(logits, allowed_tokens):
    """PrefixConstrainedLogitsProcessor"""
    return processed(PrefixConstrainedLogitsProcessor(lambda batch, ids: allowed_tokens, 1), logits)


@sf.target(order=[], returns="logits")
def logit_normalization(logits):
    """LogitNormalization"""
    return processed(transformers.LogitNormalization(), logits)


def configured(**parameters):
    return transformers.GenerationConfig(do_sample=True, num_beams=1, renormalize_logits=False, **parameters)


def biases(logit_bias):
    return [[[int(token)], float(bias)] for token, bias in logit_bias.items()] or None


@sf.target(returns="logits", dialect="transformers")
def chain(logits, logit_bias, forbidden_tokens, temperature, top_k, top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff):
    """the processors that GenerationMixin._get_logits_processor makes of a GenerationConfig"""
    config = configured(
        sequence_bias=biases(logit_bias),
        suppress_tokens=forbidden_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        typical_p=typical_p,
        epsilon_cutoff=epsilon_cutoff,
        eta_cutoff=eta_cutoff,
    )
    return processed(Model(Config())._get_logits_processor(config, input_ids_seq_length=0, device="cpu"), logits)


@sf.target(order=["temperature", "top_k", "top_p", "min_p"], returns="logits", dialect="transformers")
def usual_chain(logits, temperature, top_k, top_p, min_p):
    """the processors of a GenerationConfig with temperature, top_k, top_p and min_p"""
    config = configured(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    return processed(Model(Config())._get_logits_processor(config, input_ids_seq_length=0, device="cpu"), logits)


def generated(logits, history, config):
    model = Model(Config()).eval()
    model.given = torch.tensor(logits)
    head = logits.shape[1]
    ids, padding = padded([np.concatenate([[head], row]) for row in history])
    seen = (torch.arange(ids.shape[1])[None] >= padding[:, None]).long()
    return model.generate(ids, attention_mask=seen, generation_config=config)


@sf.target(
    order=["repetition_penalty", "forbidden_tokens", "temperature", "top_k", "top_p", "typical_p"], returns="logits", dialect="transformers"
)
def generate_scores(logits, repetition_penalty, forbidden_tokens, temperature, top_k, top_p, typical_p, history):
    """the scores that `generate` draws a token from"""
    config = configured(
        max_new_tokens=1,
        use_cache=False,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
        repetition_penalty=repetition_penalty,
        suppress_tokens=forbidden_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        typical_p=typical_p,
    )
    return generated(logits, history, config).scores[0].numpy()


@sf.target(order=["temperature", "top_k", "top_p"], returns="tokens", dialect="transformers")
def generate(logits, temperature, top_k, top_p, seed):
    """the token that `generate` draws, after torch.manual_seed"""
    torch.manual_seed(seed)
    config = configured(max_new_tokens=1, use_cache=False, pad_token_id=0, temperature=temperature, top_k=top_k, top_p=top_p)
    return generated(logits, [np.zeros(0, np.int64)] * len(logits), config)[:, -1].numpy()


@sf.target(order=["temperature", "top_k", "top_p"], returns="logits", dialect="transformers", per_row=True)
def continuous_batching(logits, temperature, top_k, top_p):
    """the per-request processors of continuous batching: ContinuousBatchingLogitsProcessorList"""
    config = configured(temperature=0.5, top_k=50, top_p=0.5)
    made = Model(Config())._get_logits_processor(config, input_ids_seq_length=0, device="cpu")
    processors = ContinuousBatchingLogitsProcessorList(made, per_request_processors=True, drop_unsupported_processors=True)
    requests = []
    for row in range(len(logits)):
        given = {"temperature": float(temperature[row]), "top_k": int(top_k[row]), "top_p": float(top_p[row])}
        processors.check_kwargs(given)
        state = RequestState(request_id=str(row), initial_tokens=[0], logit_processor_kwargs=given)
        requests.append(FutureRequestState(state, True, {}, 1))
    arguments = torch.empty((processors.tensors_required, len(logits)), dtype=torch.int32)
    processors.prepare_tensor_args(requests, arguments)
    return processors(torch.zeros(len(logits), dtype=torch.int64), torch.tensor(logits), arguments).numpy()


@sf.target(order=[], returns="tokens")
def speculative(logits, seed):
    """the first token of _speculative_sampling, for a draft that was drawn from the reversed row"""
    torch.manual_seed(seed)
    tokens = []
    for row in torch.tensor(logits):
        draft = row.flip(0)
        candidate = torch.multinomial(draft.softmax(-1), num_samples=1)[None]
        valid, _ = _speculative_sampling(candidate, draft[None, None], 1, row.expand(1, 2, -1))
        tokens.append(int(valid[0, 0]))
    return np.array(tokens)
