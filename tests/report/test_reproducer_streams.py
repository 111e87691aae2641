"""A reproducer of a stateful target drives it as the search did: steps, accept, reset, clone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reproducing import seen, shows_and_does_not_show
from synthetic import case

TWO = {"logits": [[[0.0, 1.0]]] * 3}
ONE_ROW = {"parameters": {"temperature": [1.0]}, "steps": TWO}
SEEDED = {**ONE_ROW, "seeds": [3]}
DRAWS = {"stateful": True, "returns": "tokens", "order": ("temperature",)}

CLASS = """class mine:
    def __init__(self, temperature):
        self.reset()
    def reset(self):
        self.seen = []
    def step(self, logits):
        return m.where(m.arange(2) == ({last}), -m.inf, logits)
    def accept(self, tokens):
        self.seen.append(tokens)
    def clone(self):
        twin = mine(1.0)
        {clone}
        return twin
"""
MOVES = "int(self.seen[-1][0]) if self.seen else -1"
KEEPS = "-1"
COPIED, FORGOTTEN = "twin.seen = list(self.seen)", "pass"

FUNCTION = """def mine(logits, temperature, state):
    {body}
"""
DRAWN = """class mine:
    def __init__(self, temperature, seed):
        self.rng, self.count, self.seed = m.random.default_rng(seed), 0, seed
    def step(self, logits):
        self.count += 1
        return {drawn}
"""
FRESH = "self.rng.integers(0, 2, len(logits))"
SAME = "m.random.default_rng(self.seed).integers(0, 2, len(logits))"

LATER = {"step": 1, "taken": [0]}
SETS = {"must": [1], "may": [], "never": [0], "least": 1}

# name: (what was found, the defective target, the repaired one)
STREAMS: dict[str, tuple[dict[str, Any], str, str]] = {
    "steps_clone": (
        seen("clone_goes_on_as_the_original_would", "clone", {}, {"first": 0, "second": 1}, case([[0.0, 1.0]], **ONE_ROW), stateful=True),
        CLASS.format(last=MOVES, clone=FORGOTTEN),
        CLASS.format(last=MOVES, clone=COPIED),
    ),
    "steps_replay": (
        seen("replay_gives_the_same_steps", "replay", {}, {"first": 0, "second": 1}, case([[0.0, 1.0]], **ONE_ROW), stateful=True),
        FUNCTION.format(body="mine.calls = getattr(mine, 'calls', 0) + 1; return logits + [0, mine.calls], None"),
        FUNCTION.format(body="return logits + [0, state or 0], (state or 0) + 1"),
    ),
    "steps_alone": (
        seen(
            "row_of_a_stream_stands_alone",
            "alone",
            {"alone": {"probabilities": [0.0, 1.0]}},
            {"batch": {"probabilities": [0.5, 0.5]}, "alone": {"probabilities": [0.0, 1.0]}, "step": 1},
            case(
                [[9.0, 0.0], [0.0, 0.0]],
                parameters={"temperature": [1.0, 1.0]},
                steps={"logits": [[[0.0, 0.0], [0.0, 0.0]]], "choices": [[0.0, 0.9]] * 2},
            ),
            row=1,
            stateful=True,
        ),
        FUNCTION.format(body="return (logits if state is None else logits + state), logits[0]"),
        FUNCTION.format(body="return (logits if state is None else logits + state), logits"),
    ),
    "steps_pairs": (
        seen(
            "steps_draw_independently",
            "pairs of neighbouring steps",
            {},
            {"pairs": [[20, 0], [0, 20]]},
            case([[0.0, 0.0]], **SEEDED),
            statistic={"n": 40.0, "log_e": 20.0},
            **DRAWS,
        ),
        DRAWN.format(drawn=SAME),
        DRAWN.format(drawn=FRESH),
    ),
    "steps_led": (
        seen(
            "draws_after_steps_match",
            "led",
            {"low": [0.5, 0.5], "high": [0.5, 0.5], "path": [1, 0, 1]},
            {"counts": [90, 10], "step": 3},
            case([[0.0, 0.0]], **SEEDED),
            statistic={"n": 100.0, "log_e": 20.0},
            **DRAWS,
        ),
        DRAWN.format(drawn=f"{FRESH} * (self.count < 4)"),
        DRAWN.format(drawn=FRESH),
    ),
}
OTHERS = {
    "a later step": (
        seen("step_follows_from_the_steps_before", "steps", SETS, {"kept": [0, 1], **LATER}, case([[1.0, 0.0]], **ONE_ROW), stateful=True),
        CLASS.format(last=KEEPS, clone=COPIED),
        CLASS.format(last=MOVES, clone=COPIED),
    ),
    "a later step of a function that reads the history": (
        seen("step_follows_from_the_steps_before", "steps", SETS, {"kept": [0, 1], **LATER}, case([[1.0, 0.0]], **ONE_ROW), stateful=True),
        "def mine(logits, temperature, history, state): return logits, None",
        "def mine(logits, temperature, history, state): return m.where(m.isin(m.arange(2), history[0]), -m.inf, logits), None",
    ),
    "after reset": (
        seen(
            "reset_begins_afresh",
            "reset",
            {**SETS, "must": [0, 1], "never": []},
            {"kept": [1], "step": 4, "taken": []},
            case([[0.0, 1.0]], **ONE_ROW),
            stateful=True,
        ),
        CLASS.format(last=MOVES, clone=COPIED).replace("def reset(self):\n        self.seen = []", "seen = []\n    def reset(self): pass"),
        CLASS.format(last=MOVES, clone=COPIED),
    ),
    "a clone that fails": (
        seen(
            "every_step_is_answered",
            "clone",
            {},
            {"outcome": "raised", "step": 2, "taken": [0, 1]},
            case([[0.0, 1.0]], **ONE_ROW),
            stateful=True,
        ),
        CLASS.format(last=MOVES, clone="raise TypeError('no')"),
        CLASS.format(last=MOVES, clone=COPIED),
    ),
    "a reset that fails": (
        seen(
            "every_step_is_answered",
            "reset",
            {},
            {"outcome": "raised", "step": 4, "taken": []},
            case([[0.0, 1.0]], **ONE_ROW),
            stateful=True,
        ),
        CLASS.format(last=MOVES, clone=COPIED).replace("self.seen = []", "self.seen = [] if not hasattr(self, 'seen') else self.none"),
        CLASS.format(last=MOVES, clone=COPIED),
    ),
    "a clone that hangs": (
        seen(
            "call_returns",
            "call",
            {},
            {"outcome": "hang", "message": "no answer within 0.5 s"},
            case([[0.0, 1.0]], parameters={"temperature": [1.0]}, steps={**TWO, "replay": "clone"}),
            stateful=True,
        ),
        CLASS.format(last=MOVES, clone="while True: pass"),
        CLASS.format(last=MOVES, clone=COPIED),
    ),
    "a first step": (
        seen(
            "removed_token_has_no_probability",
            "call",
            SETS,
            {"kept": [0, 1]},
            case([[0.0, 1.0]], parameters={"top_p": [0.1]}),
            stateful=True,
        ),
        "def mine(logits, top_p, state): return logits, None",
        "def mine(logits, top_p, state): return m.where(logits > 0, logits, -m.inf), None",
    ),
}


@pytest.mark.parametrize("name", [*STREAMS, *OTHERS])
def test_shows_the_defect_of_a_stream_and_not_its_repair(name: str, tmp_path: Path) -> None:
    shows_and_does_not_show(*{**STREAMS, **OTHERS}[name], tmp_path)
