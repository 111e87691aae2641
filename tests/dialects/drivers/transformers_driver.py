"""transformers, in an environment with torch 2.13.0 and transformers 5.23.0: the processors of a GenerationConfig."""

import torch
import transformers
from rows import softmax
from transformers import GenerationConfig, GenerationMixin

ORIGIN, ONE_FILTER = "ran", False
TAKES = (
    "temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "repetition_penalty", "logit_bias",
)  # fmt: skip


class Text:
    vocab_size = 8


class Config:
    is_encoder_decoder = False
    vocab_size = 8

    def get_text_config(self, *a, **k):
        return Text


class Model(GenerationMixin):
    config = Config()
    main_input_name = "input_ids"


def version():
    return transformers.__version__


def run(row, parameters, history, prompt):
    if "logit_bias" in parameters:
        parameters["sequence_bias"] = {(token,): float(b) for token, b in parameters.pop("logit_bias").items()}
    config = GenerationConfig(do_sample=True, **parameters)
    processors = Model.__new__(Model)._get_logits_processor(generation_config=config, input_ids_seq_length=prompt, device="cpu")
    return softmax(processors(torch.tensor([history]), torch.tensor([row]))[0].tolist())
