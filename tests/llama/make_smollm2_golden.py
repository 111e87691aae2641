"""Write golden/smollm2.npz: what transformers 5.23.0 makes of SmolLM2-135M-Instruct.Q4_1.gguf, read by its own GGUF loader, in float32.

Run in an environment with torch and transformers: `python tests/llama/make_smollm2_golden.py PATH.gguf`.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

GOLDEN = Path(__file__).parent / "golden" / "smollm2.npz"
NEW_TOKENS = 32
PROMPTS = (
    "Temperature is a concept",
    "The capital of France is",
    "Once upon a time, in a small village by the sea,",
    "def fibonacci(n):\n    ",
    "Water boils at 100 degrees Celsius because",
    "Q: What is 17 + 25?\nA:",
    "The three primary colours are red,",
    '{"name": "Ada", "born": 1815, "field":',
    "Dear Sir or Madam,\n\nI am writing to",
    "Photosynthesis turns light into",
    "1, 1, 2, 3, 5, 8,",
    "Der Himmel ist",
    "To be, or not to be, that is",
    "<|im_start|>user\nName a fruit.<|im_end|>\n<|im_start|>assistant\n",
    "import numpy as np\n\nx = np.",
    "A haiku about winter:\n",
    "The largest planet of the solar system is",
    "She opened the letter, read it twice, and",
    "    \t  \n\n",
    "Entropy",
)


def main(path: Path) -> None:
    from agreement import top
    from hf_llama import hf_from_gguf, hf_greedy, hf_logits
    from transformers import AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name), hf_from_gguf(path)
    arrays = {}
    for index, text in enumerate(PROMPTS):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        logits = hf_logits(model, [ids])[0]
        best = top(logits)
        arrays[f"{index}/ids"] = np.array(ids, np.uint16)
        arrays[f"{index}/top"] = best.astype(np.uint16)
        arrays[f"{index}/top_logits"] = np.take_along_axis(logits, best, axis=-1)
        arrays[f"{index}/greedy"] = np.array(hf_greedy(model, ids, NEW_TOKENS), np.uint16)
        print(index, repr(text), len(ids), repr(tokenizer.decode(arrays[f"{index}/greedy"])))
    np.savez_compressed(GOLDEN, **arrays)
    print(GOLDEN.name, GOLDEN.stat().st_size, "bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
