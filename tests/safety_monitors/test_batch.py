"""The bookkeeping of a server's hook, and the processor for vLLM on a stand-in for the two modules of vLLM that it imports."""

import enum
import importlib
import json
import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest

from samplerfuzz.core.seeding import stream
from samplerfuzz.safety.declared import Declared
from samplerfuzz.safety.hooks.batch import MOST_PENDING, BatchMonitor
from samplerfuzz.safety.hooks.callback import TokenMonitor

DECLARED = Declared.of({"temperature": 1.0, "top_k": 2})
ROW = np.array([3.0, 2.0, 1.0, 0.0], np.float32)
OTHER = ROW[::-1].copy()


def test_a_token_is_judged_by_the_logits_of_its_own_step():
    batch, output = BatchMonitor(TokenMonitor()), []
    batch.change(added=[(0, DECLARED, output)])
    for row, token in ((ROW, 0), (OTHER, 3), (ROW, 1)):
        batch.step(row[None])
        output.append(token)
    batch.change(removed=[0])
    assert (batch.monitor.steps, batch.monitor.support.outside, batch.lost) == (3, 0, 0)
    batch.change(added=[(0, DECLARED, output)])
    batch.step(ROW[None])
    output.append(3)
    batch.close()
    assert batch.monitor.support.outside == 1


def test_rows_follow_their_requests_when_the_batch_changes():
    batch, first, second, third = BatchMonitor(TokenMonitor()), [], [], []
    batch.change(added=[(0, DECLARED, first), (1, DECLARED, second)])
    batch.step(np.stack([ROW, OTHER]))
    first.append(0), second.append(3)
    batch.change(moved=[(0, 1, True)])
    batch.step(np.stack([OTHER, ROW]))
    first.append(1), second.append(2)
    # the request at 1 ends, the one at 0 takes its place, and a new one comes
    batch.change(removed=[1], added=[(2, DECLARED, third)], moved=[(0, 1, False)])
    batch.step(np.stack([np.full(4, np.nan, np.float32), OTHER, ROW]))
    second.append(3), third.append(0)
    batch.close()
    assert (batch.monitor.steps, batch.monitor.support.outside, batch.monitor.poisoned, batch.lost) == (6, 0, 0, 0)


def test_ids_that_come_late_are_waited_for_and_not_for_ever():
    batch, output = BatchMonitor(TokenMonitor()), []
    batch.change(added=[(0, DECLARED, output)])
    for _ in range(3):
        batch.step(ROW[None])
        output.append(-1)
    assert batch.monitor.steps == 0
    output[:2] = [0, 1]
    batch.step(ROW[None])
    assert batch.monitor.steps == 2
    for _ in range(2 * MOST_PENDING):
        output.append(-1)
        batch.step(ROW[None])
    assert len(batch.requests[0].pending) == MOST_PENDING
    batch.close()
    assert batch.monitor.steps + batch.lost == 4 + 2 * MOST_PENDING


@pytest.fixture
def hook(monkeypatch):
    """The module of the hook, over a vLLM of three names."""

    class LogitsProcessor:
        pass

    class MoveDirectionality(enum.Enum):
        UNIDIRECTIONAL, SWAP = 1, 2

    @dataclass(frozen=True)
    class BatchUpdate:
        batch_size: int
        removed: list
        added: list
        moved: list

    names = {"LogitsProcessor": LogitsProcessor, "MoveDirectionality": MoveDirectionality, "BatchUpdate": BatchUpdate}
    for name in ("vllm", "vllm.v1", "vllm.v1.sample", "vllm.v1.sample.logits_processor"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    vars(sys.modules["vllm.v1.sample.logits_processor"]).update(names)
    monkeypatch.delitem(sys.modules, "samplerfuzz.safety.hooks.vllm", raising=False)
    yield importlib.import_module("samplerfuzz.safety.hooks.vllm")
    sys.modules.pop("samplerfuzz.safety.hooks.vllm", None)


class Tensor:
    """An array that answers as a tensor does."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    float = cpu = detach

    def numpy(self):
        return self.values


def params(**values):
    neutral = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    return types.SimpleNamespace(**{**neutral, "presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0, **values})


def test_the_processor_does_nothing_until_it_is_told_to(hook, monkeypatch):
    monkeypatch.delenv(hook.STATE, raising=False)
    processor = hook.MonitorLogitsProcessor(None, None, False)
    logits = Tensor(ROW[None])
    processor.update_state(hook.BatchUpdate(1, [], [(0, params(), [], [])], []))
    assert processor.apply(logits) is logits
    assert processor.batch is None
    assert not processor.is_argmax_invariant()


def test_the_processor_watches_what_it_can_and_writes_it_down(hook, monkeypatch, tmp_path):
    path = tmp_path / "state.json"
    monkeypatch.setenv(hook.STATE, str(path))
    monkeypatch.setenv(hook.EVERY, "5")
    processor = hook.MonitorLogitsProcessor(None, None, False)
    outputs, rng = [[], [], []], stream(1, "vllm")
    added = [
        (0, params(top_k=2), [1], outputs[0]),
        (1, params(presence_penalty=0.5), [1], outputs[1]),
        (2, params(temperature=0.0), [1], outputs[2]),
    ]
    processor.update_state(hook.BatchUpdate(3, [], added, []))
    for _ in range(10):
        logits = Tensor(np.repeat(ROW[None], 3, 0))
        processor.update_state(None)
        assert processor.apply(logits) is logits
        for output, choices in zip(outputs, ([0, 1], [3], [0]), strict=True):
            output.append(int(rng.choice(choices)))
    processor.update_state(hook.BatchUpdate(0, [0, 1, 2], [], []))
    monitor = processor.batch.monitor
    assert (monitor.steps, monitor.alarms, processor.batch.unwatched) == (20, (), 1)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["report"]["steps"] == 18
    assert TokenMonitor.from_json(document["state"]).steps == 18


def test_what_a_request_declares_is_read_as_vllm_reads_it(hook):
    assert hook.declared_from(params()).order == ()
    assert hook.declared_from(params(temperature=0.7, top_k=-1, top_p=0.9)).order == ("temperature", "top_p")
    assert hook.declared_from(params(temperature=0.001)).parameters["temperature"] == 0.01
    assert hook.declared_from(params(temperature=1e-6, top_k=3)).order == ("temperature",)
    assert hook.declared_from(params(repetition_penalty=1.1)) is None
    assert hook.declared_from(params(temperature=5.0)) is None
