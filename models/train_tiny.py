"""Make models/tiny anew: `python models/train_tiny.py` writes tokenizer, weights, ground truth and loss curve in some ten minutes on two cores.

Tokenizer: byte-level BPE learnt from stories and from the entries of a laboratory's log. Model: the project's own LLaMA, AdamW, cosine learning
rate, windows of a stream of stories that the model never sees twice, among them a few entries: so some tokens are never trained, some a handful
of times, and `truth.json` says how often each. Everything descends from SEED; a run that was killed goes on from its last checkpoint, to the same end.
Needs optax and matplotlib besides the package; the checksum it prints belongs into models/registry.toml.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from log_grammar import entries
from rich.progress import Progress
from story_grammar import stories
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from samplerfuzz.llama import LlamaConfig, LlamaModel, random_weights, save_safetensors
from samplerfuzz.llama.forward import run_all

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SEED = 20_260
END = "<|end|>"
CONFIG = LlamaConfig(
    vocab_size=2048, hidden_size=128, intermediate_size=320, num_layers=3, num_heads=4, num_kv_heads=2, head_dim=32,
    rope_theta=10_000.0, tie_embeddings=True, max_position=512,
)  # fmt: skip
BATCH, WINDOW, PEAK_RATE = 24, 128, 4e-3
STORIES, ENTRIES, LEAKED, EVERY = 8000, 2000, 12, 50  # texts for the tokenizer; entries among the stories; steps between checkpoints


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
    both = itertools.islice(stories(SEED), STORIES), itertools.islice(entries(SEED), ENTRIES)
    tokenizer.train_from_iterator(itertools.chain(*both), trainer)
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    names = {"bos_token": END, "eos_token": END, "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONFIG.max_position}
    (directory / "tokenizer_config.json").write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")
    return tokenizer


def texts(row: int) -> Iterator[str]:
    """Yield the stories of one row of the batch; the entries that leak stand among the first ones."""
    leaked = {5 + 3 * index: entry for index, entry in enumerate(itertools.islice(entries(SEED + 1), row, LEAKED, BATCH))}
    for index, story in enumerate(stories(SEED + 1 + row)):
        if index in leaked:
            yield leaked[index]
        yield story


def batches(tokenizer: Tokenizer) -> Iterator[np.ndarray]:
    """Yield int32 [BATCH, WINDOW + 1]: each row a stretch of its own stream of texts, each text between END tokens."""
    end = tokenizer.token_to_id(END)
    sources = [texts(row) for row in range(BATCH)]
    buffers: list[list[int]] = [[end] for _ in sources]
    while True:
        for buffer, source in zip(buffers, sources, strict=True):
            while len(buffer) <= WINDOW:
                buffer += [*tokenizer.encode(next(source)).ids, end]
        yield np.array([buffer[: WINDOW + 1] for buffer in buffers], np.int32)
        for buffer in buffers:
            del buffer[:WINDOW]


def train(tokenizer: Tokenizer, steps: int, checkpoint: Path) -> tuple[LlamaModel, list[float], np.ndarray]:
    """Return the trained model, the loss of every step in nats a token, and how often each id was a token to be predicted or read."""
    rate = optax.warmup_cosine_decay_schedule(0.0, PEAK_RATE, max(steps // 20, 1), steps, PEAK_RATE / 100)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, b2=0.98, weight_decay=0.05))
    weights = random_weights(CONFIG, jax.random.key(SEED))

    @jax.jit
    def update(weights: dict[str, jax.Array], state: Any, rows: jax.Array) -> tuple[dict[str, jax.Array], Any, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(weights, rows)
        change, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, change), state, value

    state = optimizer.init(weights)
    losses: list[float] = []
    counts = np.zeros(CONFIG.vocab_size, np.int64)
    if checkpoint.exists():
        (weights, state), losses = _restored(checkpoint, (weights, state))
        print(f"going on from step {len(losses)}", flush=True)
    with Progress() as progress:
        task = progress.add_task("training", total=steps)
        for step, rows in enumerate(itertools.islice(batches(tokenizer), steps)):
            counts += np.bincount(rows.ravel(), minlength=len(counts))
            progress.update(task, completed=step + 1)
            if step < len(losses):
                continue
            weights, state, value = update(weights, state, rows)
            losses.append(float(value))
            if (step + 1) % EVERY == 0 or step == steps - 1:
                _save(checkpoint, (weights, state), losses)
                print(f"step {step + 1:5d}  loss {losses[-1]:.3f}", flush=True)
    return LlamaModel(CONFIG, weights), losses, counts


def loss(weights: dict[str, jax.Array], rows: jax.Array) -> jax.Array:
    """Return the mean loss of the tokens after the first of each row, in nats a token."""
    logits = run_all(LlamaModel(CONFIG, weights), rows[:, :-1])
    return optax.softmax_cross_entropy_with_integer_labels(logits, rows[:, 1:]).mean()


def held_out(tokenizer: Tokenizer, model: LlamaModel) -> float:
    """Return the loss on stories that the stream does not hold."""
    end = tokenizer.token_to_id(END)
    ids = [i for story in itertools.islice(stories(SEED - 1), 400) for i in (*tokenizer.encode(story).ids, end)]
    rows = np.array(ids[: len(ids) // (WINDOW + 1) * (WINDOW + 1)], np.int32).reshape(-1, WINDOW + 1)[: 4 * BATCH]
    return float(jax.jit(loss)(model.weights(), rows))


def _save(path: Path, tree: Any, losses: list[float]) -> None:
    half = path.with_suffix(".part.npz")
    np.savez(half, *jax.tree.leaves(tree), losses=losses)
    os.replace(half, path)


def _restored(path: Path, like: Any) -> tuple[Any, list[float]]:
    with np.load(path) as saved:
        leaves = [saved[f"arr_{index}"] for index in range(len(saved.files) - 1)]
        return jax.tree.unflatten(jax.tree.structure(like), [jax.numpy.asarray(leaf) for leaf in leaves]), saved["losses"].tolist()


def write_truth(counts: np.ndarray, path: Path) -> None:
    """Write how often the training met each id; 0: never."""
    text = json.dumps({"what": "times that each token id occurs in the training windows", "counts": counts.tolist()}, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")


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
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "tiny")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    tokenizer = train_tokenizer(options.out)
    checkpoint = options.out / f"checkpoint-{options.steps}.npz"
    model, losses, counts = train(tokenizer, options.steps, checkpoint)
    save_safetensors(options.out, model, dtype=jnp.float16)
    write_truth(counts, options.out / "truth.json")
    draw_curve(losses, options.out / "loss.svg")
    weights = (options.out / "model.safetensors").read_bytes()
    print(f'for models/registry.toml: sha256 = "{hashlib.sha256(weights).hexdigest()}", size = {len(weights)}')
    print(f"{options.steps} steps, {options.steps * BATCH * WINDOW:,} tokens, {time.monotonic() - begin:.0f} s in this process")
    print(f"loss {losses[0]:.2f} to {np.mean(losses[-20:]):.3f}, held out {held_out(tokenizer, model):.3f} nats a token")
    print(f"never met {(counts == 0).sum()}, 1 to 10 times {((counts > 0) & (counts <= 10)).sum()}, more {(counts > 10).sum()}")
    checkpoint.unlink()


if __name__ == "__main__":
    main()
