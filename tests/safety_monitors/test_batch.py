"""The bookkeeping of a server's hook, and the processor for vLLM on a stand-in for the modules of vLLM that it imports."""

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
V1, V2 = "vllm.v1.sample.logits_processor", "vllm.v1.worker.gpu.sample.logits_processor"


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
    """The module of the hook, over a vLLM of four names."""

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

    class SlotLogitsProcessor:
        pass

    names = {"LogitsProcessor": LogitsProcessor, "MoveDirectionality": MoveDirectionality, "BatchUpdate": BatchUpdate}
    for name in (V1, V2):
        for end in [i for i, letter in enumerate(name) if letter == "."] + [len(name)]:
            monkeypatch.setitem(sys.modules, name[:end], types.ModuleType(name[:end]))
    vars(sys.modules[V1]).update(names)
    vars(sys.modules[V2])["LogitsProcessor"] = SlotLogitsProcessor
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

    def __getitem__(self, key):
        return self.values[key]


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


def test_a_vllm_before_its_second_runner_is_content_with_the_hook(hook, monkeypatch):
    for kind in (V1, V2):  # each refuses to start with a class of the other kind
        assert issubclass(hook.MonitorLogitsProcessor, sys.modules[kind].LogitsProcessor)
    monkeypatch.delitem(sys.modules, V2)
    monkeypatch.delitem(sys.modules, hook.__name__)
    alone = importlib.import_module(hook.__name__)
    assert issubclass(alone.MonitorLogitsProcessor, sys.modules[V1].LogitsProcessor)


def test_a_seed_that_another_request_had_is_not_watched(hook, monkeypatch, tmp_path):
    monkeypatch.setenv(hook.STATE, str(tmp_path / "state.json"))
    processor = hook.MonitorLogitsProcessor(None, None, False)
    added = [(index, params(seed=seed), [], []) for index, seed in enumerate((7, None, 8, 7, None))]
    processor.update_state(hook.BatchUpdate(5, [], added, []))
    assert (sorted(processor.batch.requests), processor.batch.unwatched) == ([0, 1, 2, 4], 1)


def test_what_vllm_does_after_the_hook_closes_a_request(hook):
    assert hook.declared_from(params(repetition_penalty=1.1), penalized=True) is not None
    for forced in ({"thinking_token_budget": 0}, {"watermarking": True}):
        assert hook.declared_from(params(**forced), penalized=True) is None
    assert hook.declared_from(params(thinking_token_budget=None, watermarking=False)) is not None


@pytest.mark.parametrize(
    ("ranks", "file"),
    [
        ({"rank": 0, "tensor_parallel_size": 2, "data_parallel_size": 1}, "state.json"),
        ({"rank": 2, "tensor_parallel_size": 2, "data_parallel_size": 1}, "state.json"),
        ({"rank": 3, "tensor_parallel_size": 2, "data_parallel_size": 1}, None),
        ({"rank": 0, "tensor_parallel_size": 1, "data_parallel_size": 2, "data_parallel_rank": 1}, "state-1.json"),
    ],
)
def test_one_process_of_those_that_compute_the_same_watches(hook, monkeypatch, tmp_path, ranks, file):
    monkeypatch.setenv(hook.STATE, str(tmp_path / "state.json"))
    processor = hook.MonitorLogitsProcessor(types.SimpleNamespace(parallel_config=types.SimpleNamespace(**ranks)), None)
    assert (processor.batch is None) == (file is None)
    if file:
        processor._written -= 10.0
        processor.apply(Tensor(ROW[None]))
        assert [path.name for path in tmp_path.iterdir()] == [file]


class Slots:
    """The table of vLLM's second runner: three slots for sequences of up to 16 ids."""

    def __init__(self):
        ids, lengths = np.zeros((3, 16), np.int32), np.zeros(3, np.int32)
        self.all_token_ids, self.total_len = types.SimpleNamespace(gpu=ids), types.SimpleNamespace(gpu=Tensor(lengths))
        self.prompt_len = types.SimpleNamespace(np=np.zeros(3, np.int32))
        self.ids, self.lengths = ids, lengths

    def enter(self, processor, slot, prompt, asked, output=()):
        """As the runner does: the length of the prompt, the processors, and only then the ids."""
        self.prompt_len.np[slot] = len(prompt)
        shown = processor.add_request(slot, asked)
        self.ids[slot, : len(prompt) + len(output)] = [*prompt, *output]
        self.lengths[slot] = len(prompt) + len(output)
        return shown

    def emit(self, slot, token):
        self.ids[slot, self.lengths[slot]] = token
        self.lengths[slot] += 1


def step(processor, *rows):
    """One step: of each row its slot, the position that it was computed from, its logits."""
    slots, positions, logits = zip(*rows, strict=True)
    layout = {"expanded_idx_mapping": slots, "expanded_local_pos": [0] * len(rows), "pos": positions}
    context = types.SimpleNamespace(**{name: Tensor(np.array(values)) for name, values in layout.items()})
    given = Tensor(np.stack(logits))
    assert processor.apply(given, context) is given


@pytest.fixture
def slots(hook, monkeypatch, tmp_path):
    monkeypatch.setenv(hook.STATE, str(tmp_path / "state.json"))
    table = Slots()
    return table, hook.MonitorLogitsProcessor(None, table)


def test_requests_in_slots_are_watched_from_their_rows(slots):
    table, processor = slots
    assert table.enter(processor, 2, [9, 9], params(top_k=2))
    assert table.enter(processor, 0, [9, 9, 9], params(top_k=2, repetition_penalty=1.5))
    step(processor, (0, 2, OTHER), (2, 1, ROW))
    table.emit(0, 3), table.emit(2, 0)
    step(processor, (2, 2, ROW), (0, 3, OTHER))
    table.emit(0, 2), table.emit(2, 1)
    # the request in 2 ends and another takes its slot: the last token of the first is taken before it is written over
    table.enter(processor, 2, [5], params(top_k=1))
    step(processor, (0, 4, ROW), (2, 0, OTHER))
    table.emit(0, 2), table.emit(2, 3)
    processor.batch.close()
    monitor = processor.batch.monitor
    assert (monitor.steps, monitor.support.outside, processor.batch.unwatched, processor.batch.lost) == (6, 1, 0, 0)


def test_a_prompt_in_pieces_emits_at_its_end_only_and_so_does_one_that_comes_again(slots):
    table, processor = slots
    table.enter(processor, 1, [3, 3, 3, 3], params(top_k=1))
    step(processor, (1, 1, ROW))
    step(processor, (1, 3, ROW))
    table.emit(1, 0)
    assert processor.batch.monitor.steps == 0
    # it had to make room, and comes again with what it had put out
    table.enter(processor, 0, [3, 3, 3, 3], params(top_k=1), output=[0])
    step(processor, (0, 2, OTHER))
    step(processor, (0, 4, OTHER))
    table.emit(0, 3)
    processor.batch.close()
    assert (processor.batch.monitor.steps, processor.batch.monitor.support.outside, processor.batch.lost) == (2, 0, 0)


def test_requests_in_slots_are_not_shown_until_it_is_told_to(hook, monkeypatch):
    monkeypatch.delenv(hook.STATE, raising=False)
    assert not Slots().enter(hook.MonitorLogitsProcessor(None, Slots()), 0, [1], params())
