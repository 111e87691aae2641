"""Ids of a real vocabulary, bytes back from ids, and what a file without what is needed is told."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_tokenizer import merge_by_score
from tricky_text import TRICKY

from samplerfuzz.core.errors import ModelError, ParameterError
from samplerfuzz.llama.gguf_tokenizer import BYTE, CONTROL, NORMAL, PRE_TOKENIZERS, UNKNOWN, USER_DEFINED
from samplerfuzz.llama.load_tokenizer import load_tokenizer
from samplerfuzz.llama.models import find

GOLDEN = json.loads((Path(__file__).parent / "golden" / "smollm2_tokenizer.json").read_text(encoding="utf-8"))
PIECES = {int(index): piece for index, piece in GOLDEN["pieces"].items()}
KEYS = {"model": "gpt2", "pre": "smollm", "tokens": ["a", "b", "ab"], "token_type": [NORMAL] * 3, "merges": ["a b"]}


def write_gguf(path, keys):
    """A GGUF file with `tokenizer.ggml.*` = `keys` and the least of a model that a reader accepts."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(32)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    for key, value in keys.items():
        name = f"tokenizer.ggml.{key}"
        if isinstance(value, list):
            writer.add_array(name, value)
        elif isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        else:
            writer.add_string(name, value)
    writer.add_tensor("token_embd.weight", np.zeros((8, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def smollm(tmp_path_factory):
    keys = {
        "model": "gpt2",
        "pre": "smollm",
        "tokens": list(PIECES.values()),
        "token_type": [CONTROL if piece in GOLDEN["specials"] else NORMAL for piece in PIECES.values()],
        "merges": GOLDEN["merges"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "add_bos_token": False,
    }
    return load_tokenizer(write_gguf(tmp_path_factory.mktemp("gguf") / "smollm.gguf", keys))


@pytest.fixture(scope="module")
def tiny():
    return load_tokenizer(find("tiny").path)


SCORES = {"▁": -1, "a": -2, "b": -3, "c": -4, "ab": -5, "bc": -5.5, "abc": -6, "▁a": -7, "aa": -8, "▁ab": -9, "aaa": -10, "ca": -10.5}


@pytest.fixture(scope="module")
def spm(tmp_path_factory):
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *SCORES, "<tool>"]
    keys = {
        "model": "llama",
        "tokens": tokens,
        "token_type": [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, *[NORMAL] * len(SCORES), USER_DEFINED],
        "scores": [0.0] * 259 + [float(score) for score in SCORES.values()] + [0.0],
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return load_tokenizer(write_gguf(tmp_path_factory.mktemp("gguf") / "spm.gguf", keys))


@pytest.mark.parametrize("name", TRICKY)
def test_ids_are_those_of_the_definition(smollm, name):
    originals = list(PIECES)
    assert [originals[token] for token in smollm.encode(TRICKY[name])] == GOLDEN["ids"][name]


def test_the_four_known_ids():
    assert GOLDEN["ids"]["the known four"] == [38115, 314, 253, 1909]


@pytest.mark.parametrize("name", TRICKY)
@pytest.mark.parametrize("kind", ["smollm", "tiny", "spm"])
def test_decoding_gives_the_text_back(request, kind, name):
    tokenizer = request.getfixturevalue(kind)
    assert tokenizer.decode(tokenizer.encode(TRICKY[name]), skip_special=kind == "spm") == TRICKY[name]


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=40))
def test_any_text_comes_back(smollm, spm, tiny, text):
    assert tiny.decode(tiny.encode(text)) == text
    assert spm.decode(spm.encode(text)[1:]) == text
    # SmolLM2's vocabulary has no token for some bytes; what it cannot spell is left out, as transformers does
    known = {piece[0] for piece in smollm.pieces if len(piece) == 1}
    spelled = bytes(byte for byte in text.encode() if byte in known)
    assert smollm.decode(smollm.encode(text)) == spelled.decode("utf-8", "replace")


@settings(max_examples=150, deadline=None)
@given(ids=st.lists(st.integers(0, 700), max_size=30))
def test_a_stream_never_shows_half_a_character(tiny, ids):
    stream = tiny.stream()
    pieces = [stream.feed(token) for token in ids]
    assert "".join(pieces) + stream.finish() == tiny.decode(ids)
    assert tiny.decode(ids) == b"".join(map(tiny.token_bytes, ids)).decode("utf-8", "replace")


def test_a_stream_holds_an_emoji_back_until_its_last_byte(tiny):
    stream = tiny.stream()
    assert [stream.feed(token) for token in tiny.encode("🙂!")] == ["", "", "", "🙂", "!"]
    ids = tiny.encode("🙂")[:3]
    assert [stream.feed(token) for token in ids] == ["", "", ""]
    assert stream.finish() == "\ufffd"


def test_token_text_is_printable_on_one_line(tiny, smollm, spm):
    for tokenizer in (tiny, smollm, spm):
        assert all(tokenizer.token_text(token).isprintable() for token in range(tokenizer.vocab_size))
    assert tiny.token_text(tiny.encode("\n")[0]) == "\\n"
    assert tiny.token_text(tiny.encode("é")[0]) == "\\xc3"


def test_begin_end_and_special_ids(smollm, spm, tiny):
    assert (smollm.bos_id, smollm.eos_ids, smollm.adds_bos) == (1, (2,), False)
    assert (spm.bos_id, spm.eos_ids, spm.adds_bos) == (1, (2,), True)
    assert spm.encode("a")[0] == 1
    assert (tiny.bos_id, tiny.eos_ids, tiny.adds_bos, tiny.vocab_size) == (0, (0,), False, 2048)
    assert smollm.decode(smollm.encode("<|im_start|>hi<|im_end|>"), skip_special=True) == "hi"


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="abc ", min_size=1, max_size=14))
def test_sentencepiece_merges_the_best_union_first(spm, text):
    expected = merge_by_score("▁" + text.replace(" ", "▁"), SCORES)
    names = list(SCORES)
    assert [names[token - 259] for token in spm.encode(text)[1:]] == expected


def test_sentencepiece_falls_back_to_bytes(spm):
    assert [spm.token_bytes(token) for token in spm.encode("é")[1:]] == [b" ", b"\xc3", b"\xa9"]
    assert spm.decode(spm.encode("a<tool>b")[1:]) in ("a<tool>b", "a<tool> b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1234567 x", ["123", "456", "7", " x"]),
        ("I'LL don't", ["I", "'LL", " don", "'t"]),
        ("(word) .so", ["(word", ")", " .", "so"]),
        ("a \n\n  b", ["a", " \n\n", " ", " b"]),
        ("end!!\n\nx", ["end", "!!\n\n", "x"]),
        ("tab\tword", ["tab", "\tword"]),
    ],
)
def test_llama_bpe_splits_as_llama_3_does(text, words):
    split = PRE_TOKENIZERS["llama-bpe"]().pre_tokenize_str(text)
    assert [text[begin:end] for _, (begin, end) in split] == words


def test_llama_bpe_takes_a_known_word_without_merging(tmp_path):
    keys = {**KEYS, "pre": "llama-bpe", "tokens": ["a", "b", "c", "ab", "bc", "abc", "<s>"], "token_type": [1] * 6 + [3], "bos_token_id": 6}
    tokenizer = load_tokenizer(write_gguf(tmp_path / "x.gguf", {**keys, "merges": ["b c", "a b"]}))
    assert tokenizer.encode("abc") == [6, 5]


BROKEN = {
    "no model": ({"model": None}, "tokenizer.ggml.model"),
    "other model": ({"model": "bert"}, "expected 'gpt2' or 'llama', found 'bert'"),
    "no pre-tokenizer": ({"pre": None}, "tokenizer.ggml.pre"),
    "other pre-tokenizer": ({"pre": "qwen2"}, r"expected one of \['llama-bpe', 'smollm'\], found 'qwen2'"),
    "no tokens": ({"tokens": None}, "tokenizer.ggml.tokens"),
    "no merges": ({"merges": None}, "tokenizer.ggml.merges"),
    "a merge without a space": ({"merges": ["ab"]}, "two pieces and one space, found 'ab'"),
    "a merge of unknown pieces": ({"merges": ["x y"]}, "merges of pieces in the vocabulary"),
    "too few types": ({"token_type": [1]}, "expected 3 items, one a token, found 1"),
    "no scores": ({"model": "llama"}, "tokenizer.ggml.scores"),
    "an end outside the vocabulary": ({"eos_token_id": 9}, r"'tokenizer.ggml.eos_token_id': expected an id in \[0, 3\), found 9"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name):
    change, message = BROKEN[name]
    keys = {key: value for key, value in {**KEYS, **change}.items() if value is not None}
    path = write_gguf(tmp_path / "broken.gguf", keys)
    with pytest.raises(ModelError, match=message) as caught:
        load_tokenizer(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "found nothing there"),
        ("{", "expected a JSON file"),
        ("[]", "expected a JSON object"),
        ("{}", "expected a tokenizer of the"),
    ],
)
def test_a_damaged_tokenizer_json_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        load_tokenizer(tmp_path)


def test_a_decoder_of_another_kind_is_refused(tmp_path):
    data = json.loads((find("tiny").path / "tokenizer.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps({**data, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}))
    with pytest.raises(ModelError, match=r"expected ByteLevel, ByteFallback or Metaspace, found .'WordPiece'"):
        load_tokenizer(tmp_path)


def test_impossible_text_and_ids_are_refused(tiny):
    with pytest.raises(ParameterError, match="lone surrogate"):
        tiny.encode("a\ud800")
    with pytest.raises(ParameterError, match=r"token id 2048: expected one in \[0, 2048\)"):
        tiny.decode([2048])
