"""Run by vLLM's own interpreter: its v1 batch and sampler draw from random rows with the hook among the logits processors. Prints what was seen as JSON.

Requests come, end and move as in the engine: the batch tells the processor. No model is loaded; the loop stands for one.
"""

import json
import os
import sys
import tempfile

os.environ["SAMPLERFUZZ_MONITOR"] = os.path.join(tempfile.mkdtemp(), "state.json")
os.environ["SAMPLERFUZZ_MONITOR_EVERY"] = "50"

import numpy as np
import torch

from samplerfuzz.safety.hooks.vllm import MonitorLogitsProcessor
from samplerfuzz.targets.libraries.adapters import vllm as engine

SIZE, STEPS = 200, 150


def main(fault):
    rng = np.random.default_rng(1)
    torch.manual_seed(1)
    asked = engine.requests(
        SIZE,
        temperature=np.array([0.7, 1.0, 0.0, 1.3, 0.9]),
        top_k=np.array([0, 20, 0, 0, 50]),
        top_p=np.array([0.9, 1.0, 1.0, 1.0, 0.95]),
        min_p=np.array([0.0, 0.0, 0.0, 0.05, 0.0]),
        presence_penalty=np.array([0.0, 0.0, 0.0, 0.0, 1.0]),
    )
    hook = MonitorLogitsProcessor(None, engine.CPU, False)
    kinds = engine.processors(8)
    kinds.non_argmax_invariant.append(hook)
    engine.processors = lambda rows: kinds
    batch = engine.empty_batch(8, SIZE, STEPS + 8)
    outputs = {}
    for row, one in enumerate(asked):
        outputs[str(row)] = []
        engine.enter(batch, str(row), one, [1, 2], outputs[str(row)])
    batch.refresh_metadata()
    emitted = 0
    for step in range(STEPS):
        if step == 60:
            batch.remove_request("1")
            batch.condense()
            batch.refresh_metadata()
        if step == 90:
            outputs["new"] = []
            engine.enter(batch, "new", asked[0], [3], outputs["new"])
            batch.refresh_metadata()
        for processor in kinds.all:
            processor.update_state(None)
        logits = torch.tensor(rng.normal(size=(batch.num_reqs, SIZE)).astype(np.float32) * 2)
        answer = engine.Sampler()(logits, batch.sampling_metadata)
        for name, token in zip(batch.req_ids, answer.sampled_token_ids[:, 0].tolist(), strict=True):
            if fault == "uniform" and name != "4":
                token = int(rng.integers(SIZE))
            outputs[name].append(token)
            emitted += name != "4"
    hook.batch.close()
    told = hook.batch.monitor.describe()
    with open(os.environ["SAMPLERFUZZ_MONITOR"], encoding="utf-8") as file:
        written = json.load(file)["report"]["steps"]
    found = {
        "steps": told["steps"],
        "emitted": emitted,
        "alarms": told["alarms"],
        "unwatched": hook.batch.unwatched,
        "lost": hook.batch.lost,
    }
    print(json.dumps({**found, "written": written, "open": told["open"], "version": engine.version()}))


main(sys.argv[1])
