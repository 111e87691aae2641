"""A reproducer shows the defect, does not show it once repaired, and needs no samplerfuzz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reproducing import execute, found, seen, shows_and_does_not_show, write_target
from synthetic import case, crossing_token, finding
from test_reproducer_streams import STREAMS

from samplerfuzz.report.reproducer import reproducer_source, write_reproducer

SETS = {"must": [0, 1], "may": [], "never": [2], "least": 2}
TOP_P = {"top_p": [0.9]}
T = {"temperature": [1.0]}
THREE = [[0.1, 0.3, -9.0]]


# name: (what was found, the defective function, the repaired one); `m` is numpy
TABLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "kept_sets": (
        seen("kept_token_has_probability", "call", SETS, {"kept": [1], "probabilities": [0, 1, 0]}, case(THREE, parameters=TOP_P)),
        "def mine(logits, top_p): return m.where(logits == logits.max(), logits, -m.inf)",
        "def mine(logits, top_p): return m.where(logits > -5, logits, -m.inf)",
    ),
    "token_sets": (
        seen("removed_token_has_no_probability", "call", SETS, {"token": 2}, case(THREE, parameters=TOP_P), returns="tokens"),
        "def mine(logits, top_p): return m.random.default_rng().integers(0, 3, 1)",
        "def mine(logits, top_p): return m.random.default_rng().integers(0, 2, 1)",
    ),
    "token_range": (
        seen("id_is_inside_the_vocabulary", "call", {"range": [0, 2]}, {"token": 3}, case(THREE, parameters=T, u=[0.5]), returns="tokens"),
        "def mine(logits, temperature, u): return m.array([3])",
        "def mine(logits, temperature, u): return m.array([2])",
    ),
    "probability": (
        seen(
            "probability_matches_the_definition",
            "call",
            {**SETS, "probabilities": [0.25, 0.75]},
            {"kept": [0, 1], "probabilities": [0.2, 0.8]},
            case([[0.0, 1.0]], parameters=T),
            returns="probs",
        ),
        "def mine(logits, temperature): return m.array([[0.2, 0.8]])",
        "def mine(logits, temperature): return m.array([[0.2500001, 0.7499999]])",
    ),
    "raised": (
        seen(
            "legal_parameters_are_accepted",
            "call",
            {"outcome": "value"},
            {"outcome": "raised", "message": "ValueError: no"},
            case(THREE, parameters={"top_k": [2]}),
        ),
        "def mine(logits, top_k): raise ValueError('no' + str(1 / (isinstance(top_k, int))))",
        "def mine(logits, top_k): return logits",
    ),
    "malformed": (
        seen(
            "answer_has_the_promised_shape",
            "call",
            {"outcome": "value"},
            {"outcome": "malformed", "message": "shape"},
            case(THREE, parameters=TOP_P),
        ),
        "def mine(logits, top_p): return logits[0]",
        "def mine(logits, top_p): return logits",
    ),
    "nan_row": (
        seen(
            "clean_input_gives_no_nan",
            "call",
            {"outcome": "refusal or value"},
            {"outcome": "NaN row", "values": ["nan"]},
            case(THREE, parameters=TOP_P),
        ),
        "def mine(logits, top_p): return logits * m.nan",
        "def mine(logits, top_p): raise ValueError('refused')",
    ),
    "clean_answer": (
        seen("nonsense_is_not_answered", "call", {"outcome": "refusal or NaN"}, {"kept": [0]}, case([[1.0, np.nan]], parameters=TOP_P)),
        "def mine(logits, top_p): return m.where(m.isnan(logits), -m.inf, logits)",
        "def mine(logits, top_p): return logits",
    ),
    "input_changed": (
        seen("input_is_not_changed", "call", {"mutated": False}, {"mutated": True}, case(THREE, parameters=TOP_P)),
        "def mine(logits, top_p): logits[:, 2] = -m.inf; return logits",
        "def mine(logits, top_p): return logits + 0",
    ),
    "alone": (
        seen(
            "row_alone_equals_row_in_batch",
            "alone",
            {"alone": {"probabilities": [0.6, 0.4]}},
            {"batch": {"probabilities": [0.5, 0.5]}, "alone": {"probabilities": [0.6, 0.4]}},
            case([[0.0, 1.0], [5.0, 5.0]], parameters={"top_p": [0.9, 0.9]}),
            row=1,
        ),
        "def mine(logits, top_p): return logits + logits[0]",
        "def mine(logits, top_p): return logits * 1",
    ),
    "after_another": (
        seen(
            "earlier_calls_change_nothing",
            "after another",
            {"again": {"probabilities": [0.3, 0.7]}},
            {"after another": {"probabilities": [0.5, 0.5]}, "again": {"probabilities": [0.3, 0.7]}},
            case([[0.0, 1.0]], parameters={"top_p": [0.9]}),
        ),
        "def mine(logits, top_p, seen=[0]): return logits * 1 if seen.append(top_p) or seen[-2] == top_p else 0 * logits",
        "def mine(logits, top_p): return logits * 1",
    ),
    "alone_tokens": (
        seen(
            "row_alone_equals_row_in_batch",
            "alone",
            {"alone": {"token": 0}},
            {"batch": {"token": 1}},
            case([[0.0, 9.0], [9.0, 0.0]], parameters={"temperature": [1.0, 1.0]}, u=[0.2, 0.9]),
            row=1,
            returns="tokens",
            per_row=True,
        ),
        "def mine(logits, temperature, u): return m.repeat(logits[:1].argmax(-1), len(u))",
        "def mine(logits, temperature, u): return logits.argmax(-1)",
    ),
    "repeat": (
        seen("same_input_same_answer", "repeat", {}, {"row": 0, "first": [0.0], "second": [1.0]}, case(THREE, parameters=TOP_P)),
        "def mine(logits, top_p): return logits + m.random.default_rng().random()",
        "def mine(logits, top_p): return logits",
    ),
    "relation_permuting": (
        seen(
            "permuting_the_vocabulary_permutes_the_answer",
            "relation",
            {},
            {"first": [0, 0, 1], "second": [1, 0, 0], "token": 2},
            case([[0.0, 1.0, 2.0]], parameters=TOP_P, history=[[0, 1]]),
        ),
        "def mine(logits, top_p, history): return m.where(m.arange(3) > 1, logits, -m.inf)",
        "def mine(logits, top_p, history): return m.where(logits > 0.5, logits, -m.inf)",
    ),
    "relation_shifting": (
        seen(
            "shifting_the_logits_changes_nothing",
            "relation",
            {},
            {"first": [1, 0], "second": [1, 1], "token": 0},
            case([[-1.0, 1.0]], parameters=TOP_P),
        ),
        "def mine(logits, top_p): return m.where(logits > 0, logits, -m.inf)",
        "def mine(logits, top_p): return m.where(logits >= logits.max() - 1, logits, -m.inf)",
    ),
    "relation_masked": (
        seen(
            "masked_columns_change_nothing",
            "relation",
            {},
            {"first": [1, 0], "second": [1, 1], "token": 0},
            case([[-1.0, 1.0]], parameters=TOP_P),
        ),
        "def mine(logits, top_p): return logits if logits.shape[1] == 2 else m.where(logits > 0, logits, -m.inf)",
        "def mine(logits, top_p): return logits",
    ),
    "seeds_repeat": (
        seen(
            "different_seeds_give_different_draws",
            "seeds",
            {},
            {"seeds": [3, 67], "tokens": [1]},
            case([[0.0, 1.0]], parameters=T, seeds=[3]),
            returns="tokens",
        ),
        "def mine(logits, temperature, seed): return m.random.default_rng(seed % 64).integers(0, 1000, 32)",
        "def mine(logits, temperature, seed): return m.random.default_rng(seed).integers(0, 1000, 32)",
    ),
    "seeds_rows": (
        seen(
            "rows_draw_independently",
            "seeds",
            {},
            {"tokens": [1]},
            case([[0.0, 1.0]], parameters={"logit_bias": [{0: 1.5}]}, seeds=[3]),
            returns="tokens",
        ),
        "def mine(logits, logit_bias, seed): return m.repeat(m.random.default_rng(seed).integers(0, 1000), len(logits))",
        "def mine(logits, logit_bias, seed): return m.random.default_rng(seed).integers(0, 1000, len(logits))",
    ),
    "seeds_calls": (
        seen("calls_draw_independently", "seeds", {}, {"tokens": [1]}, case([[0.0, 1.0]], parameters={"top_k": [1]}), returns="tokens"),
        "def mine(logits, top_k): return m.random.default_rng(1).integers(0, 1000, 32)",
        "def mine(logits, top_k): return m.random.default_rng().integers(0, 1000, 32)",
    ),
    "draws": (
        seen(
            "draw_frequencies_match",
            "draws",
            {"low": [0.5, 0.5], "high": [0.5, 0.5]},
            {"counts": [300, 212]},
            case([[0.0, 0.0]], parameters=T, seeds=[3]),
            returns="tokens",
            statistic={"n": 512.0, "log_e": 20.0},
        ),
        "def mine(logits, temperature, seed): return (m.random.default_rng(seed).random(len(logits)) < 0.45).astype(int)",
        "def mine(logits, temperature, seed): return (m.random.default_rng(seed).random(len(logits)) < 0.5).astype(int)",
    ),
    "pairs": (
        seen(
            "neighbouring_seeds_draw_independently",
            "pairs of seeds",
            {},
            {"pairs": [[20, 0], [0, 20]]},
            case([[0.0, 0.0]], parameters=T, seeds=[3]),
            returns="tokens",
            statistic={"n": 40.0, "log_e": 20.0},
        ),
        "def mine(logits, temperature, seed): return m.full(len(logits), seed // 2 % 2)",
        "def mine(logits, temperature, seed): return (m.random.default_rng(seed).random(len(logits)) < 0.5).astype(int)",
    ),
    "grid": (
        seen(
            "uniform_grid_follows_the_law",
            "grid",
            {"low": [0.5, 0.5], "high": [0.5, 0.5]},
            {"counts": [6, 4]},
            case([[0.0, 0.0]], parameters=T, u=[0.1]),
            returns="tokens",
            statistic={"n": 16384.0},
        ),
        "def mine(logits, temperature, u): return (u > 0.6).astype(int)",
        "def mine(logits, temperature, u): return (u > 0.5).astype(int)",
    ),
    "same_answer": (
        seen(
            "a_claim_of_tomorrow",
            "call",
            {"outcome": "value"},
            {"probabilities": [0.5, 0.5]},
            case([[0.0, 0.0]], parameters=T),
            returns="probs",
        ),
        "def mine(logits, temperature): return m.array([[0.5, 0.5]])",
        "def mine(logits, temperature): return m.array([[0.4, 0.6]])",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_shows_the_defect_and_not_its_repair(name: str, tmp_path: Path) -> None:
    shows_and_does_not_show(*TABLE[name], tmp_path)


def test_every_template_is_tried_here() -> None:
    import samplerfuzz.report

    folder = Path(samplerfuzz.report.__file__).parent / "templates" / "reproducer"
    templates = {path.name.removesuffix(".py.j2") for path in folder.iterdir()}
    assert {t for t in templates if not t.startswith(("load_", "_"))} == {*TABLE, *STREAMS, "ends"}


DEAF = "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"
# body of the function: (what came of the call, what the reproducer says)
ENDS = {
    "while True: pass": ("hang", "no answer; it is here:", "in mine"),
    f"{DEAF}; ctypes.PyDLL(None).sleep(600)": ("hang", "no answer; it is here:", "in mine"),
    "ctypes.string_at(0)": ("crash", "a process that died with SIGSEGV", "in mine"),
    "os.write(2, b'GGML_ASSERT failed'); os.abort()": ("crash", "a process that died with SIGABRT", "GGML_ASSERT failed"),
    "os._exit(0)": ("crash", "a process that exited with status 0", ""),
    "sys.exit('bye')": ("crash", "a process that exited with status 1", "bye"),
    "raise KeyboardInterrupt": ("crash", "a process that died with SIGINT", "KeyboardInterrupt"),
}


@pytest.mark.parametrize("body", ENDS)
def test_a_hang_or_a_crash_is_seen_from_outside(body: str, tmp_path: Path) -> None:
    outcome, said, where = ENDS[body]
    message = "no answer within 0.5 s" if outcome == "hang" else "died"
    what = seen("a", "call", {}, {"outcome": outcome, "message": message}, case(THREE, parameters=TOP_P))
    target = write_target(tmp_path / "target.py", f"def mine(logits, top_p):\n    import ctypes, os, signal, sys\n    {body}")
    script = write_reproducer(found(what, f"{target}:mine"), tmp_path)
    ended = execute(script, folder=tmp_path)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert said in ended.stdout
    assert where in ended.stdout
    assert ended.stdout.endswith("the defect REPRODUCES\n")


@pytest.mark.parametrize("body", ["print('x' * 99_999, end=''); return logits", "raise ValueError('refused')", "os.fork(); return logits"])
def test_a_call_that_ends_as_it_should_is_no_crash(body: str, tmp_path: Path) -> None:
    what = seen("a", "call", {}, {"outcome": "crash", "message": "died"}, case(THREE, parameters=TOP_P))
    target = write_target(tmp_path / "target.py", f"def mine(logits, top_p):\n    import os\n    {body}")
    ended = execute(write_reproducer(found(what, f"{target}:mine"), tmp_path), folder=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "does not reproduce" in ended.stdout


def test_a_target_that_does_not_load_is_status_two(tmp_path: Path) -> None:
    script = write_reproducer(crossing_token(target=f"{tmp_path}/gone.py:mine"), tmp_path)
    ended = execute(script, folder=tmp_path)
    assert ended.returncode == 2
    assert "cannot load the target: FileNotFoundError" in ended.stderr


def test_a_module_is_imported_by_name(tmp_path: Path) -> None:
    write_target(tmp_path / "my_samplers.py", "def mine(logits, top_p): return m.where(logits == logits.max(), logits, -m.inf)")
    script = write_reproducer(crossing_token(target="my_samplers:mine"), tmp_path / "findings")
    assert execute(script, folder=tmp_path).returncode == 1


def test_a_built_in_target_is_taken_from_samplerfuzz() -> None:
    source = reproducer_source(crossing_token(target="builtin:top_p"))
    assert 'import_module("samplerfuzz.targets.builtin").function(NAME)' in source
    assert "sys.modules" not in source


def test_the_input_has_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.normal(size=20).astype(np.float32), np.array([1e-45, -0.0, np.inf, -np.inf, np.nan], np.float32)])
    of = case([logits], parameters={"top_p": [0.1 + 0.2]}, u=[1 - 2.0**-53])
    source = reproducer_source(finding(of, expected={"must": [0]}, observed={"kept": [1]}))
    names: dict[str, Any] = {}
    exec(source.partition("PARAMETERS =")[0], names)
    assert np.array([names["CASE"]["logits"][0]], np.float32).tobytes() == of.logits.tobytes()
    assert names["CASE"]["top_p"] == [0.1 + 0.2]
    assert names["CASE"]["u"] == [1 - 2.0**-53]


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    title = 'x """ \\ \x1b[31m\nimport os\n"""; os._exit(9)'
    target = write_target(tmp_path / "target.py", "def mine(logits, top_p): return m.where(logits == logits.max(), logits, -m.inf)")
    source = reproducer_source(crossing_token(title=title, target=f"{target}:mine"))
    assert "\x1b" not in source
    script = tmp_path / "hostile.py"
    script.write_text(source)
    assert execute(script, folder=tmp_path).returncode == 1
