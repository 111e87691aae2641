"""Serve a tiny LLaMA of random weights with vLLM's own server: `python serve_vllm.py PORT`. It ends with this program."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import tokenizers

SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
SHAPE = {"vocab_size": 64, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 32}
ENDS_WITH_ITS_PARENT = 1  # PR_SET_PDEATHSIG


def write_model(folder):
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_key_value_heads": 1,
        "max_position_embeddings": 256,
        **SHAPE,
    }
    words = tokenizers.models.WordLevel({"<s>": 0, "</s>": 1, **{f"w{i}": i for i in range(2, 64)}}, unk_token="<s>")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    special = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<s>"}
    for name, data in {"config.json": config, "tokenizer_config.json": special}.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(data, file)


def main(port):
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        write_model(folder)
        arguments = {
            "model": folder,
            "served-model-name": "tiny",
            "load-format": "dummy",
            "dtype": "float32",
            "host": "127.0.0.1",
            "port": port,
        }
        arguments |= {"max-model-len": 128, "max-num-seqs": 4, "gpu-memory-utilization": 0.2}
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"]
        command += [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
        server = subprocess.Popen(
            command,
            env={**os.environ, **SETTINGS},
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(ENDS_WITH_ITS_PARENT, signal.SIGTERM),
        )
        while server.poll() is None:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        print(address, flush=True)
        sys.exit(server.wait())


if __name__ == "__main__":
    main(sys.argv[1])
