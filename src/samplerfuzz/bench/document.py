"""A comparison in words: a table in Markdown, and what it was measured on."""

from __future__ import annotations

from samplerfuzz.bench.compare import Comparison, Line
from samplerfuzz.bench.peers.peer import OURS
from samplerfuzz.bench.timing import Times


def markdown(comparison: Comparison, chart: str = "") -> str:
    """Return the comparison as a document; `chart` is the path of its picture, if there is one."""
    conditions = comparison.conditions
    machine = conditions["machine"]
    others = [name for name in comparison.peers if name != OURS]
    head = ["chain", "B", "V", OURS, *others]
    rows = [
        [
            line.workload,
            str(line.rows),
            str(line.vocabulary),
            own(line),
            *(beside(line, name) for name in others),
        ]
        for line in comparison.lines
    ]
    parts = [
        "# Speed of the samplers",
        "Written by `samplerfuzz bench samplers`. One step: the chain on B rows of V logits and the draw of B tokens. Milliseconds: the median, ± half of "
        "what lies between the quartiles, and how many times as long as samplerfuzz in the same run (×: above 1, samplerfuzz is ahead).",
        _table(head, rows),
        *([f"![Times beside each other]({chart})"] if chart else []),
        "## Conditions",
        "\n".join(
            [
                f"- {machine['processor']}, {machine['cores']} cores, {machine['threads_per_core']} thread(s) a core, {machine['caches']}, "
                f"{machine['memory_gib']} GiB; {machine['system']}, Python {machine['python']}",
                f"- load average {conditions['load_average'][0]} before and {conditions['load_average'][1]} after: what the machine did besides counts in it",
                *(f"- {name} {about['version']}: {about['how']}" for name, about in comparison.peers.items()),
                *(f"- {item.name} was not there ({item.why}); `{item.install}`" for item in comparison.absent),
                f"- rows: {conditions['rows']}",
                f"- {conditions['checked']}",
                *_scratch(comparison),
            ]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _scratch(comparison: Comparison) -> list[str]:
    many = [line.scratch for line in comparison.lines if line.rows > 1]
    return [f"- memory of the compiled step beside logits and tokens: at most {max(many):.2f} times the logits where B > 1"] if many else []


def milliseconds(value: float) -> str:
    """Return a number in three digits.

    Example:
      >>> milliseconds(0.06519), milliseconds(2.461), milliseconds(551.4)
      ('0.065', '2.46', '551')
    """
    return f"{value:.3f}" if value < 1 else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def own(line: Line) -> str:
    """Return the time of this package and its spread."""
    return _with_spread(line.times[OURS])


def beside(line: Line, name: str) -> str:
    """Return the time of a peer, its spread and its ratio to ours, or a dash."""
    if name not in line.times:
        return "–"
    return f"{_with_spread(line.times[name])} (×{milliseconds(line.ratios[name])})"


def _with_spread(times: Times) -> str:
    return f"{milliseconds(times.median)} ±{100 * times.spread:.0f}%"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
