"""Make models/tiny anew: `python models/train_tiny.py` writes tokenizer, weights and loss curve in a few minutes on two cores.

Tokenizer: byte-level BPE learnt from the first stories. Model: the project's own LLaMA, AdamW, cosine learning rate, windows of a stream of
stories that the model never sees twice. Everything descends from SEED.
Needs optax and matplotlib besides the package; the checksum it prints belongs into models/registry.toml.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from rich.progress import track
from story_grammar import stories
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from samplerfuzz.llama import LlamaConfig, LlamaModel, random_weights, save_safetensors
from samplerfuzz.llama.forward import run_all

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SEED = 20_260
END = "<|end|>"
CONFIG = LlamaConfig(
    vocab_size=768, hidden_size=128, intermediate_size=320, num_layers=3, num_heads=4, num_kv_heads=2, head_dim=32,
    rope_theta=10_000.0, tie_embeddings=True, max_position=512,
)  # fmt: skip
BATCH, WINDOW, PEAK_RATE = 24, 128, 4e-3


def train_tokenizer(directory: Path) -> Tokenizer:
    """Learn a byte-level BPE of CONFIG.vocab_size tokens and write it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG.vocab_size,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(itertools.islice(stories(SEED), 4000), trainer)
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    names = {"bos_token": END, "eos_token": END, "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONFIG.max_position}
    (directory / "tokenizer_config.json").write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")
    return tokenizer


def batches(tokenizer: Tokenizer) -> Iterator[np.ndarray]:
    """Yield int32 [BATCH, WINDOW + 1]: each row a stretch of its own stream of stories, each story between END tokens."""
    end = tokenizer.token_to_id(END)
    sources = [stories(SEED + 1 + row) for row in range(BATCH)]
    buffers: list[list[int]] = [[end] for _ in sources]
    while True:
        for buffer, source in zip(buffers, sources, strict=True):
            while len(buffer) <= WINDOW:
                buffer += [*tokenizer.encode(next(source)).ids, end]
        yield np.array([buffer[: WINDOW + 1] for buffer in buffers], np.int32)
        for buffer in buffers:
            del buffer[:WINDOW]


def train(tokenizer: Tokenizer, steps: int) -> tuple[LlamaModel, list[float]]:
    """Return the trained model and the loss of every step, in nats a token."""
    rate = optax.warmup_cosine_decay_schedule(0.0, PEAK_RATE, max(steps // 20, 1), steps, PEAK_RATE / 100)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, b2=0.98, weight_decay=0.05))
    weights = random_weights(CONFIG, jax.random.key(SEED))

    def loss(weights: dict[str, jax.Array], rows: jax.Array) -> jax.Array:
        logits = run_all(LlamaModel(CONFIG, weights), rows[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, rows[:, 1:]).mean()

    @jax.jit
    def update(weights: dict[str, jax.Array], state: Any, rows: jax.Array) -> tuple[dict[str, jax.Array], Any, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(weights, rows)
        change, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, change), state, value

    state, losses = optimizer.init(weights), []
    source = batches(tokenizer)
    for step in track(range(steps), description="training"):
        weights, state, value = update(weights, state, next(source))
        losses.append(float(value))
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:5d}  loss {losses[-1]:.3f}", flush=True)
    return LlamaModel(CONFIG, weights), losses


def draw_curve(losses: list[float], path: Path) -> None:
    """Draw loss against step as SVG."""
    matplotlib.rcParams["svg.hashsalt"] = "tiny"
    figure, axes = plt.subplots(figsize=(6, 3))
    axes.plot(losses, linewidth=0.8)
    axes.set(xlabel="step", ylabel="loss (nats a token)", yscale="log", title="models/tiny")
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    """Train and write the directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "tiny")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    model, losses = train(train_tokenizer(options.out), options.steps)
    save_safetensors(options.out, model, dtype=jnp.float16)
    draw_curve(losses, options.out / "loss.svg")
    weights = (options.out / "model.safetensors").read_bytes()
    print(f'for models/registry.toml: sha256 = "{hashlib.sha256(weights).hexdigest()}", size = {len(weights)}')
    print(
        f"{options.steps} steps, {options.steps * BATCH * WINDOW:,} tokens, {time.monotonic() - begin:.0f} s, last loss {np.mean(losses[-20:]):.3f}"
    )


if __name__ == "__main__":
    main()
