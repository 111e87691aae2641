"""x-transformers, in an environment with torch 2.13.0 and x-transformers 2.31.10: one filter, then what `generate` does after it."""

from importlib.metadata import version as installed

import torch
from rows import one, softmax
from x_transformers.autoregressive_wrapper import FILTER_LOGITS_FN

ORIGIN, ONE_FILTER = "ran", True
TAKES = ("temperature", "top_k", "top_p", "min_p", "top_a")
ARGUMENTS = {"top_k": "k", "top_p": "thres", "min_p": "min_p", "top_a": "min_p_ratio"}


def version():
    return installed("x-transformers")


def run(row, parameters, history, prompt):
    temperature = parameters.pop("temperature", 1.0)
    logits = torch.tensor([row])
    if temperature == 0.0:
        return one(logits.argmax(-1), len(row))
    for name, value in parameters.items():
        logits = FILTER_LOGITS_FN[name](logits, **{ARGUMENTS[name]: value})
    return softmax((logits / temperature)[0].tolist())
