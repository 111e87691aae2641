"""Write golden/tiny.npz: what transformers 5.23.0 on torch 2.13.0 (CPU, float32) computes on the tiny models.

Run in an environment with torch and transformers: `python tests/llama/make_golden.py`.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

GOLDEN = Path(__file__).parent / "golden" / "tiny.npz"


def main() -> None:
    from hf_llama import hf_logits, hf_model, hf_parts
    from tiny_llama import CASES, prompts, tiny_weights

    arrays = {}
    for name, config in CASES.items():
        model = hf_model(config, tiny_weights(config))
        texts = prompts(config)
        for row, logits in enumerate(hf_logits(model, texts)):
            arrays[f"{name}/logits/{row}"] = logits
        for part, values in hf_parts(model, texts[1]).items():
            arrays[f"{name}/{part}"] = values
        print(name, "largest logit", max(float(np.abs(arrays[f"{name}/logits/{row}"]).max()) for row in range(len(texts))))
    np.savez_compressed(GOLDEN, **arrays)
    print(GOLDEN.name, GOLDEN.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
