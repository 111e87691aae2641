"""Write DIALECTS.md from the dialects and from what their engines answered: `python tests/dialects/make_document.py`."""

import json
from pathlib import Path

from samplerfuzz.core.dialects import ENGINES, Dialect

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "DIALECTS.md"
# the row or its probabilities, as people write it, for each golden case of the table
SHOWN = [
    ("top-p 0.5 on four equal", "four equal tokens"),
    ("top-p at the first token", "½, ¼, ¼"),
    ("top-p after top-k", "0.4, 0.3, 0.2, 0.1"),
    ("top-k and top-p on equals", "eight equal tokens"),
    ("top-k cuts a tie", "logits 0, 0, 0, −1"),
    ("temperature or min-p first", "0.05, 0.6, 0.1, 0.25"),
    ("temperature or top-p first", "0.05, 0.6, 0.1, 0.25"),
    ("typical on four equal", "four equal tokens"),
    ("XTC at its threshold", "four equal tokens"),
    ("XTC at T = 0", "0.4, 0.3, 0.2, 0.1"),
    ("temperature 0.0", "0.4, 0.3, 0.2, 0.1"),
    ("temperature -1.0", "0.4, 0.3, 0.2, 0.1"),
    ("temperature 3.0", "0.4, 0.3, 0.2, 0.1"),
    ("top-k 0", "0.4, 0.3, 0.2, 0.1"),
    ("top-k -1", "0.4, 0.3, 0.2, 0.1"),
    ("top-k 9", "0.4, 0.3, 0.2, 0.1"),
    ("top-p 0.0", "0.4, 0.3, 0.2, 0.1"),
    ("top-p 1.5", "0.4, 0.3, 0.2, 0.1"),
    ("min-p 2.0", "0.05, 0.6, 0.1, 0.25"),
]
POLICIES = {"reject": "refused", "greedy": "greedy", "invert": "divides, so it inverts"}


def document() -> str:
    """Return the text of DIALECTS.md."""
    return "\n".join([*_opening(), *_same_parameters(), "", *_orders(), "", *_conventions(), "", *_temperatures(), ""])


def _opening() -> list[str]:
    return [
        "# Dialects",
        "",
        "The same parameters mean different things to different engines, and each is right by its own documentation. A dialect is one",
        "engine's way as data: order of stages, ties, `≥` or `>`, what top-p is measured on, what switches a parameter off, what is refused.",
        '`samplerfuzz explain dialect NAME` prints one; `samplers.from_dialect("llama.cpp", temperature=0.8, top_k=40)` makes its chain;',
        '`@sf.target(dialect="vllm")` has a sampler judged by it.',
        "",
        "This page is written by `tests/dialects/make_document.py`. The answers were given by the engines themselves (`tests/dialects/golden`);",
        "koboldcpp's are restated from its source.",
        "",
    ]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def _same_parameters() -> list[str]:
    golden = {item.name: _golden(item) for item in ENGINES}
    rows = []
    for name, row in SHOWN:
        parameters = next(cases[name]["parameters"] for cases in golden.values() if name in cases)
        asked = ", ".join(f"{key}={value}" for key, value in parameters.items())
        rows.append([f"`{asked}`", row, *(_answer(golden[item.name].get(name)) for item in ENGINES)])
    return [
        "## The same parameters, nine engines, nine results",
        "",
        "Ids that are left, of the tokens 0, 1, 2, …; — the engine has no such parameter, or takes one filter a call.",
        "",
        *_table(["parameters", "tokens", *(item.name for item in ENGINES)], rows),
    ]


def _golden(dialect: Dialect) -> dict[str, dict]:
    data = json.loads((HERE / "golden" / f"{dialect.name}.json").read_text(encoding="utf-8"))
    return {case["name"]: case for case in data["cases"]}


def _answer(case: dict | None) -> str:
    if case is None:
        return "—"
    return " ".join(map(str, case["kept"])) if "kept" in case else "refused" if "refused" in case else f"nonsense: {case['nonsense']}"


def _orders() -> list[str]:
    rows = [[item.name, item.version, " → ".join(item.order)] for item in ENGINES]
    return ["## Order", "", *_table(["dialect", "version", "stages"], rows)]


def _conventions() -> list[str]:
    names = sorted({name for item in ENGINES for name in item.conventions})
    rows = [[f"`{name}`", *(_convention(item, name) for item in ENGINES)] for name in names]
    return [
        "## Conventions",
        "",
        "In brackets what the engine was seen to do and does not promise. Empty: it has no such stage, or its sentinels leave nothing open.",
        "",
        *_table(["convention", *(item.name for item in ENGINES)], rows),
    ]


def _convention(dialect: Dialect, name: str) -> str:
    habit = f" ({dialect.habits[name]})" if name in dialect.habits else ""
    return dialect.conventions.get(name, "") + habit


def _temperatures() -> list[str]:
    rows = [[item.name, POLICIES[item.negative_temperature], POLICIES[item.zero_temperature]] for item in ENGINES]
    return ["## Temperature", "", *_table(["dialect", "T < 0", "T = 0"], rows)]


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
