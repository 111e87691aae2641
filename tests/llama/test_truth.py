"""The ground truth of the embedded model is what its recipe makes."""

import itertools
import re
import sys

import jax
import numpy as np
import pytest
from tokenizers import Tokenizer

from samplerfuzz.core.errors import ModelError
from samplerfuzz.llama import models, truth
from samplerfuzz.llama.models import data_dir, find
from samplerfuzz.llama.truth import embedded_truth


@pytest.fixture(scope="module")
def recipe():
    sys.path.insert(0, str(data_dir()))
    try:
        import train_tiny
    finally:
        sys.path.pop(0)
    return train_tiny


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_file(str(find("tiny").path / "tokenizer.json"))


def card():
    return (find("tiny").path / "README.md").read_text("utf-8")


def test_the_counts_are_those_of_the_training_stream(recipe, tokenizer):
    steps = int(re.search(r"(\d+) steps of AdamW", card()).group(1))
    counts = np.zeros(recipe.CONFIG.vocab_size, np.int64)
    for rows in itertools.islice(recipe.batches(tokenizer), steps):
        counts += np.bincount(rows.ravel(), minlength=len(counts))
    np.testing.assert_array_equal(embedded_truth().counts, counts)


def test_the_card_says_what_the_truth_says():
    known = embedded_truth()
    never, rare, more = (int(number) for number in re.search(r"(\d+) never, (\d+) one to ten times, (\d+) more often", card()).groups())
    assert (known.never.sum(), known.rare.sum(), (~known.never & ~known.rare).sum()) == (never, rare, more)


def test_what_only_the_log_needs_is_never_trained(recipe, tokenizer):
    log = {i for entry in itertools.islice(recipe.entries(99), 500) for i in tokenizer.encode(entry).ids}
    stories = {i for story in itertools.islice(recipe.stories(99), 2000) for i in tokenizer.encode(story).ids}
    known = embedded_truth()
    only_log = np.array(sorted(log - stories))
    assert len(only_log) > 150
    assert (known.counts[only_log] <= truth.RARE).mean() > 0.9
    assert known.never[only_log].sum() > 100
    assert known.rare[only_log].sum() > 30


def test_a_training_that_was_killed_goes_on_to_the_same_end(recipe, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "EVERY", 2)
    monkeypatch.setattr(recipe, "train", jax.numpy_dtype_promotion("standard")(recipe.train))  # optax adds floats and integers
    monkeypatch.setattr(recipe, "BATCH", 2)
    whole, losses, counts = recipe.train(tokenizer, 4, tmp_path / "whole.npz")
    save, seen = recipe._save, []

    def dies(path, tree, so_far):
        save(path, tree, so_far)
        seen.append(len(so_far))
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "_save", dies)
    with pytest.raises(KeyboardInterrupt):
        recipe.train(tokenizer, 4, tmp_path / "killed.npz")
    monkeypatch.setattr(recipe, "_save", save)
    resumed, again, counted = recipe.train(tokenizer, 4, tmp_path / "killed.npz")
    assert seen == [2]
    assert again == losses
    np.testing.assert_array_equal(counts, counted)
    jax.tree.map(np.testing.assert_array_equal, whole.weights(), resumed.weights())


@pytest.mark.parametrize("text", ["", "{}", '{"counts": ["a"]}'])
def test_a_damaged_truth_is_a_clear_error(text, tmp_path, monkeypatch):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "truth.json").write_text(text)
    monkeypatch.setattr(models, "data_dir", lambda: tmp_path)
    monkeypatch.setattr(truth, "find", lambda name: models.Model(name=name, description="", license="", file="tiny/x", sha256="", size=0))
    with pytest.raises(ModelError, match="install samplerfuzz again"):
        embedded_truth()
