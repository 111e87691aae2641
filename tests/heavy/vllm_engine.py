"""Run by vLLM's own interpreter: a whole `LLM` with a tiny model, in which the hook watches requests that come, go, end early and make room. Prints what was seen as JSON.

The engine has processes of its own; what the hook saw is read from its file.
"""

import json
import os
import sys
import time

from vllm.v1.sample.logits_processor import LogitsProcessor

try:
    from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as SlotLogitsProcessor
except ImportError:  # before vLLM 0.32
    SlotLogitsProcessor = object

HOOK = "samplerfuzz.safety.hooks.vllm:MonitorLogitsProcessor"
PROCESSORS = {"entry point": None, "named": [HOOK], "hotter behind": [HOOK, "vllm_engine:Hotter"]}


class Hotter(LogitsProcessor, SlotLogitsProcessor):
    """A fault: what comes behind it draws at 1.4 times the temperature."""

    def __init__(self, *given):
        pass

    def is_argmax_invariant(self):
        return False

    def update_state(self, batch_update):
        pass

    def apply(self, logits, ctx=None):
        return logits.div_(1.4)


def settings(SamplingParams):
    # none with a seed: vLLM 0.32's first runner on a CPU ends with one whose prompt is computed in pieces
    kinds = [
        {"temperature": 0.7, "top_p": 0.9},
        {"temperature": 1.0, "top_k": 20},
        {"temperature": 0.0},
        {"temperature": 1.3, "min_p": 0.05},
        {"temperature": 0.9, "top_k": 50, "top_p": 0.95, "min_tokens": 4},
        {"temperature": 1.0, "logit_bias": {7: 4.0, 9: -50.0}},
        {"temperature": 1.6, "allowed_token_ids": list(range(40, 90))},
        {"temperature": 1.0},
        {"temperature": 0.8, "repetition_penalty": 1.3, "presence_penalty": 0.5},
    ]
    return [SamplingParams(**kinds[i % 9], max_tokens=10 + i * 7 % 50, ignore_eos=i % 2 == 0) for i in range(54)]


def main(model, way):
    from vllm import LLM, SamplingParams

    llm = LLM(
        model=model,
        enforce_eager=True,
        dtype="float32",
        max_model_len=128,
        max_num_seqs=7,
        max_num_batched_tokens=32,
        block_size=32,
        num_gpu_blocks_override=12,
        enable_prefix_caching=False,
        gpu_memory_utilization=0.2,
        disable_log_stats=False,
        logits_processors=PROCESSORS[way],
    )
    engine = llm.llm_engine
    emitted, aborted = {}, {"4", "22"}

    def step():
        for output in engine.step():
            emitted[output.request_id] = len(output.outputs[0].token_ids)
            if output.request_id in aborted and emitted[output.request_id] >= 5:
                engine.abort_request([output.request_id])

    for number, asked in enumerate(settings(SamplingParams)):
        # prompts longer than a step has room for are computed in pieces
        prompt = [3 + (number * 31 + i) % 290 for i in range(1 + number * 5 % 60)]
        engine.add_request(str(number), {"prompt_token_ids": prompt}, asked)
        if number % 3 == 0:
            step()
    while engine.has_unfinished_requests():
        step()
    time.sleep(1.1)
    # what was drawn last is known with the next step, and it is written then
    llm.generate([{"prompt_token_ids": [5]}], SamplingParams(temperature=1.0, max_tokens=2, ignore_eos=True), use_tqdm=False)
    with open(os.environ["SAMPLERFUZZ_MONITOR"], encoding="utf-8") as file:
        told = json.load(file)
    report = told["report"]
    penalized = sum(count for name, count in emitted.items() if int(name) % 9 == 8)
    temperature = {name: report["temperature"][name] for name in ("low", "temperature_over_declared", "high")}
    found = {name: report[name] for name in ("steps", "open", "poisoned", "alarms")}
    found |= {"emitted": sum(emitted.values()), "penalized": penalized, **temperature}
    found |= {"unwatched": told["unwatched"], "lost": told["lost"], "tests": report["tests"]}
    found["preemptions"] = sum(metric.value for metric in llm.get_metrics() if metric.name == "vllm:num_preemptions")
    found["second runner"] = bool(getattr(engine.vllm_config, "use_v2_model_runner", False))
    import vllm

    print(json.dumps({**found, "version": vllm.__version__}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
