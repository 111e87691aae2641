"""The reference: transformers' LlamaForCausalLM on the CPU in float32. Torch is imported when it is called, not before."""

from pathlib import Path
from typing import Any

import numpy as np

from samplerfuzz.llama.config import LlamaConfig
from samplerfuzz.llama.hf_config import config_as_json
from samplerfuzz.llama.safetensors_dir import NAMING
from samplerfuzz.llama.weights import BLOCK, file_names

PROBES = {
    "attention_norm": "model.layers.0.input_layernorm",
    "attention": "model.layers.0.self_attn",
    "feed_forward": "model.layers.0.mlp",
    "block": "model.layers.0",
    "final_norm": "model.norm",
}


def hf_model(config: LlamaConfig, weights: dict[str, np.ndarray]) -> Any:
    """Return transformers' model of this shape with these weights."""
    import torch
    from transformers import LlamaConfig as HFConfig
    from transformers import LlamaForCausalLM

    described = config_as_json(config, dtype="float32")
    model = LlamaForCausalLM(
        HFConfig(**{key: value for key, value in described.items() if key != "torch_dtype"}, attn_implementation="eager")
    )
    names = file_names(config, NAMING)
    state = {
        file: torch.tensor(weights[name][layer] if name in BLOCK else weights[name])
        for name in weights
        for layer, file in enumerate(names[name])
    }
    if config.tie_embeddings:
        state["lm_head.weight"] = state[NAMING["embedding"]]
    model.load_state_dict(state, strict=True)
    return model.eval()


def hf_logits(model: Any, prompts: list[list[int]]) -> list[np.ndarray]:
    """Return the logits `[T, V]` of each prompt, run alone."""
    import torch

    with torch.no_grad():
        return [model(torch.tensor([prompt])).logits[0].float().numpy() for prompt in prompts]


def hf_logits_left_padded(model: Any, prompts: list[list[int]]) -> list[np.ndarray]:
    """Return the logits `[T, V]` of each prompt, run as one left-padded batch as `generate` pads it."""
    import torch

    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = model(ids, attention_mask=mask, position_ids=positions).logits.float().numpy()
    return [row[longest - len(prompt) :] for row, prompt in zip(logits, prompts)]


def hf_parts(model: Any, prompt: list[int]) -> dict[str, np.ndarray]:
    """Return what the parts named in PROBES take in and give out for one prompt, as `NAME_in`, `NAME_out` `[1, T, E]`."""
    import torch

    seen: dict[str, np.ndarray] = {}

    def listen(name: str) -> Any:
        def hook(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            taken = args[0] if args else kwargs["hidden_states"]
            given = output[0] if isinstance(output, tuple) else output
            seen[f"{name}_in"], seen[f"{name}_out"] = taken.numpy().copy(), given.numpy().copy()

        return hook

    handles = [model.get_submodule(path).register_forward_hook(listen(name), with_kwargs=True) for name, path in PROBES.items()]
    with torch.no_grad():
        model(torch.tensor([prompt]))
        cosine, sine = model.model.rotary_emb(torch.zeros(1), torch.arange(len(prompt))[None])
    for handle in handles:
        handle.remove()
    half = cosine.shape[-1] // 2
    return {**seen, "cosine": cosine[0, :, :half].numpy(), "sine": sine[0, :, :half].numpy()}


def hf_from_gguf(path: Path) -> Any:
    """Return transformers' reading of a GGUF file, in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


def hf_greedy(model: Any, prompt: list[int], count: int) -> list[int]:
    """Return the `count` tokens that follow by always taking the largest logit."""
    import torch

    ids, past, out = torch.tensor([prompt]), None, []
    with torch.no_grad():
        for _ in range(count):
            step = model(ids, past_key_values=past, use_cache=True)
            past, ids = step.past_key_values, step.logits[:, -1].argmax(-1, keepdim=True)
            out.append(int(ids))
    return out
