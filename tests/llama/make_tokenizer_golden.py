"""Write golden/smollm2_tokenizer.json: ids of TRICKY in SmolLM2's vocabulary, by the definition, and the part of the vocabulary they need.

The ids come from `naive_tokenizer`, not from the project, and are compared with transformers' where that library follows the same
pre-tokenizer (it leaves the separation of digits out, which shows in digits that are not ASCII). The part of the vocabulary is closed: a merge
can apply to one of the words only if its union is a piece of that word, and every such merge is in.
Run where `transformers` and `regex` are installed: `python tests/llama/make_tokenizer_golden.py MODEL.gguf`.
"""

import json
import sys
from pathlib import Path

import gguf
from naive_tokenizer import merge_by_rank, smollm_words
from tricky_text import TRICKY

from samplerfuzz.llama.byte_level import bytes_of_characters

GOLDEN = Path(__file__).parent / "golden" / "smollm2_tokenizer.json"
CONTROL = 3


def read(path):
    reader = gguf.GGUFReader(path)
    names = ("tokens", "token_type", "merges")
    return [reader.get_field(f"tokenizer.ggml.{name}").contents() for name in names]


def naive_ids(text, tokens, specials, ranks):
    """The ids of a text and the byte-level words in it."""
    import regex

    ids = {token: index for index, token in enumerate(tokens)}
    character = {byte: char for char, byte in bytes_of_characters().items()}
    found, words = [], []
    for part in regex.split("(" + "|".join(map(regex.escape, specials)) + ")", text):
        if part in specials:
            found.append(ids[part])
            continue
        for word in smollm_words(part):
            spelled = "".join(character[byte] for byte in word.encode())
            words.append(spelled)
            found += [ids[piece] for piece in merge_by_rank(spelled, ranks)]
    return found, words


def main():
    path = Path(sys.argv[1])
    tokens, types, lines = read(path)
    merges = [tuple(line.split(" ")) for line in lines]
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    specials = [token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL]
    ids, words = {}, set()
    for name, text in TRICKY.items():
        ids[name], new = naive_ids(text, tokens, specials, ranks)
        words.update(new)
    from transformers import AutoTokenizer

    other = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    for name, text in TRICKY.items():
        if name != "other digits":
            assert other(text, add_special_tokens=False)["input_ids"] == ids[name], name
    needed = [merge for merge in merges if any("".join(merge) in word for word in words)]
    pieces = {piece for merge in needed for piece in (*merge, "".join(merge))} | set(bytes_of_characters()) | set(specials)
    kept = {str(index): token for index, token in enumerate(tokens) if token in pieces}
    data = {"specials": specials, "pieces": kept, "merges": [" ".join(merge) for merge in needed], "ids": ids}
    GOLDEN.write_text(json.dumps(data, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")
    print(len(kept), "pieces", len(needed), "merges", GOLDEN.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
