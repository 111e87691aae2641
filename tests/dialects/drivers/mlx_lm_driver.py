"""mlx-lm, in an environment with mlx[cpu] 0.32.4 and mlx_lm/sample_utils.py of mlx-lm 0.32.2 on the path given by MLX_SAMPLE_UTILS."""

import importlib.util
import os

import mlx.core as mx
from rows import one, softmax

ORIGIN, ONE_FILTER = "ran", False
TAKES = (
    "temperature", "top_k", "top_p", "min_p", "xtc_threshold", "xtc_probability", "repetition_penalty", "presence_penalty",
    "frequency_penalty", "penalty_last_n", "logit_bias",
)  # fmt: skip
PENALTIES = ("repetition", "presence", "frequency")

# a compiled function keeps the random state of the trace in which nothing was drawn from it
mx.disable_compile()
specification = importlib.util.spec_from_file_location("sample_utils", os.environ["MLX_SAMPLE_UTILS"])
utils = importlib.util.module_from_spec(specification)
specification.loader.exec_module(utils)
# the last thing a sampler does is to draw: here it shows what it would draw from
utils.categorical_sampling = lambda logits, temp: logits * (1.0 / temp)


def version():
    return "0.32.2"


def run(row, parameters, history, prompt):
    temperature = parameters.pop("temperature", 1.0)
    window = parameters.pop("penalty_last_n", None)
    processing = {key: parameters.pop(key) for key in ("logit_bias", *(f"{p}_penalty" for p in PENALTIES)) if key in parameters}
    if window is not None:
        processing.update({f"{p}_context_size": window for p in PENALTIES})
    logits = mx.array([row])
    for processor in utils.make_logits_processors(**processing):
        logits = processor(mx.array(history), logits)
    answer = utils.make_sampler(temp=temperature, **parameters)(logits - mx.logsumexp(logits, keepdims=True))
    return one(answer.item(), len(row)) if answer.size == 1 else softmax(answer[0].tolist())
