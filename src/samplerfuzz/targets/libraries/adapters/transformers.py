"""transformers: each logits processor alone, the chain that a GenerationConfig makes of them, and the draw of `generate`.

In an environment with torch and transformers. A processor is given float32 scores [B, V]; `input_ids` are the history, which a tensor
can hold only where all rows have as many tokens.
"""

import numpy as np
import torch
import transformers

import samplerfuzz as sf

LACKS = {} if hasattr(transformers, "TopHLogitsWarper") else {"top_h": f"transformers {transformers.__version__} has no TopHLogitsWarper"}


def version():
    return f"transformers {transformers.__version__}, torch {torch.__version__}"


def processed(processor, logits, history=None, dtype=torch.float32):
    ids = torch.tensor(np.array(history if history is not None else [[]] * len(logits), np.int64))
    return processor(ids, torch.tensor(logits).to(dtype)).float().numpy()


@sf.target(order=["temperature"], returns="logits", dialect="transformers")
def temperature(logits, temperature):
    """TemperatureLogitsWarper"""
    return processed(transformers.TemperatureLogitsWarper(temperature), logits)


@sf.target(order=["top_k"], returns="logits", dialect="transformers")
def top_k(logits, top_k, min_tokens_to_keep):
    """TopKLogitsWarper"""
    return processed(transformers.TopKLogitsWarper(top_k, min_tokens_to_keep=min_tokens_to_keep), logits)


@sf.target(order=["top_p"], returns="logits", dialect="transformers")
def top_p(logits, top_p, min_tokens_to_keep):
    """TopPLogitsWarper"""
    return processed(transformers.TopPLogitsWarper(top_p, min_tokens_to_keep=min_tokens_to_keep), logits)
