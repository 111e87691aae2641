"""Real logits at once: rows of the embedded model's logits over a built-in text, for whoever needs real input."""

from __future__ import annotations

import numpy as np

from samplerfuzz.core import seeding
from samplerfuzz.core.errors import ParameterError

WINDOW, BATCH, STRIDE = 64, 16, 3
TEXT = (
    "Once there was a clever fox who lived near the old mill. On a rainy evening it came to the village and met a girl named Anna. "
    '"Where is my silver coin?" asked the fox. "I saw it behind the door," said Anna. They walked along the river until they came to the '
    "lighthouse, because it was getting dark. After seven hours they reached the harbour, and it was foggy there. "
    "Temperature is a concept. The price is 42 coins, not 41; 3 + 4 = 7. def main(): return None # done\n\n"
    'Ben ran over the bridge and did not look back. He bought 12 pieces of bread, so he was happy. "Don\'t worry," said the hen. '
    "aaaa bbbb !!!! ???? The the the the. In the end Oskar gave her the key, and they went home. From that day on, they were friends. "
    "Es war einmal ein kleiner Bär. 日本語 🙂 And the map? It is still under a stone, near the train station."
)


def tiny_logits(n_rows: int) -> np.ndarray:
    """Return float32 logits `[n_rows, V]` of the embedded model: the next-token logits at positions of overlapping windows of TEXT.

    The same `n_rows` gives the same rows, and fewer are a prefix of more.

    Args:
        n_rows: in [1, the number of positions in all windows], about 5,000.

    Raises:
        ParameterError: `n_rows` out of range.
        ModelError: the embedded model is damaged.
    """
    from samplerfuzz.llama.forward import logits_all
    from samplerfuzz.llama.load import load_model
    from samplerfuzz.llama.load_tokenizer import load_tokenizer
    from samplerfuzz.llama.models import DEFAULT, find

    path = find(DEFAULT).path
    tokenizer = load_tokenizer(path)
    ids = np.array([*tokenizer.eos_ids[:1], *tokenizer.encode(TEXT)], np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(ids, WINDOW)[::STRIDE]
    windows = windows[seeding.stream(0, "embedded").permutation(len(windows))]
    if not 1 <= n_rows <= windows.size:
        raise ParameterError(f"n_rows = {n_rows}: expected an integer in [1, {windows.size}]")
    model, _ = load_model(path)
    rows: list[np.ndarray] = []
    for begin in range(0, -(-n_rows // WINDOW), BATCH):
        chunk = windows[begin : begin + BATCH]
        padded = np.zeros((BATCH, WINDOW), np.int32)
        padded[: len(chunk)] = chunk
        rows.extend(np.asarray(logits_all(model, padded), np.float32)[: len(chunk)])
    return np.concatenate(rows)[:n_rows]
