"""SmolLM2's tokenizer against transformers' reading of the same file and against the definition."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_tokenizer import merge_by_rank, smollm_words
from tricky_text import TRICKY

from samplerfuzz.llama.byte_level import bytes_of_characters
from samplerfuzz.llama.gguf_file import GGUFTensors
from samplerfuzz.llama.load_tokenizer import load_tokenizer
from samplerfuzz.llama.models import find

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("smollm2"), pytest.mark.filterwarnings("default")]
GOLDEN = json.loads((Path(__file__).parents[1] / "llama" / "golden" / "smollm2_tokenizer.json").read_text(encoding="utf-8"))
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=30)


@pytest.fixture(scope="module")
def ours(smollm2):
    return load_tokenizer(smollm2)


@pytest.fixture(scope="module")
def theirs(transformers, smollm2):
    return transformers.AutoTokenizer.from_pretrained(smollm2.parent, gguf_file=smollm2.name)


@pytest.mark.parametrize("name", TRICKY)
def test_ids_of_the_whole_vocabulary_are_golden(ours, name):
    assert ours.encode(TRICKY[name]) == GOLDEN["ids"][name]


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_ids_are_those_of_transformers(ours, theirs, text):
    # transformers leaves the separation of digits out when it reads a GGUF file: it shows in digits that are not ASCII
    text = "".join(char for char in text if char.isascii() or not char.isnumeric())
    assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"]


@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_ids_are_those_of_the_definition(ours, ranks, text):
    pytest.importorskip("regex")
    character = {byte: char for char, byte in bytes_of_characters().items()}
    words = ["".join(character[byte] for byte in word.encode() if bytes([byte]) in ranks["bytes"]) for word in smollm_words(text)]
    assert ours.encode(text) == [ranks["ids"][piece] for word in words for piece in merge_by_rank(word, ranks["merges"])]


@pytest.fixture(scope="module")
def ranks(ours, smollm2):
    file = GGUFTensors(smollm2)
    merges = [tuple(line.split(" ")) for line in file.metadata("tokenizer.ggml.merges", list)]
    return {
        "merges": {merge: rank for rank, merge in enumerate(merges)},
        "ids": {token: index for index, token in enumerate(file.metadata("tokenizer.ggml.tokens", list))},
        "bytes": set(ours.pieces),
    }


def test_the_embedded_tokenizer_is_that_of_transformers(transformers):
    path = find("tiny").path
    theirs = transformers.AutoTokenizer.from_pretrained(path)
    ours = load_tokenizer(path)
    for text in TRICKY.values():
        assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"]
    assert ours.eos_ids == (theirs.eos_token_id,)
