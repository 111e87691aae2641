"""What a person sees while a run goes on, and at its end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from samplerfuzz.checks.finding import Finding
from samplerfuzz.engine.events import INTERRUPTED, Event, FindingFound, Progress, RunFinished, RunStarted, TargetFinished, TargetStarted
from samplerfuzz.report.finding_text import COLOURS, finding_block
from samplerfuzz.report.text import count, printable

_LINE_SECONDS = 5.0
_NUMBER_COLUMNS = 66
MEANINGS = {
    0: "nothing at or above --fail-on",
    1: "findings at or above --fail-on",
    3: "nothing could be tested",
    INTERRUPTED: "interrupted",
}


class TerminalReporter:
    """Show progress, findings and the summary.

    Args:
      console: where to.
      quiet: findings and one line at the end, nothing else.
      directory: of the report, to name the files in it.
    """

    def __init__(self, console: Console, quiet: bool = False, directory: Path | None = None) -> None:
        self.console, self.quiet, self.directory = console, quiet, directory
        self._live: Live | None = None
        self._finished: list[TargetFinished] = []
        self._started: dict[str, TargetStarted] = {}
        self._targets: tuple[str, ...] = ()
        self._printed = 0.0
        self._active: dict[str, Progress] = {}  # several where several processes fuzz
        self._known: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, FindingFound):
            self._finding(event.finding)
        elif isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, TargetStarted):
            self._started[event.target] = event
            self._printed = time.monotonic()
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, TargetFinished):
            self._finished.append(event)
            self._active.pop(event.target, None)
        elif isinstance(event, RunFinished):
            self.close()
            self._end(event)

    def stopped(self, findings: int) -> None:
        """Say that the run has broken off before its end, and how it goes on."""
        self.close()
        self.console.print(Text(f"stopped before the end · {findings} finding{'s' * (findings != 1)} so far", style="bold yellow"))
        self._say_how_to_resume()

    def _say_how_to_resume(self) -> None:
        if self.directory is not None:
            self.console.print(Text(f"go on: samplerfuzz fuzz --resume {self.directory}"), soft_wrap=True)

    def close(self) -> None:
        """Take the progress line off the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _begin(self, event: RunStarted) -> None:
        self._targets = event.targets
        self._known = event.settings.get("accepted", {})
        if self.quiet:
            return
        settings = event.settings
        seed, checks, seconds = settings.get("seed"), settings.get("checks"), settings.get("max_time")
        facts = [f"{len(event.targets)} target{'s' * (len(event.targets) != 1)}"]
        facts += [f"{len(checks)} checks"] if checks else []
        facts += [f"{seconds:g} s"] if seconds else []
        facts += [f"seed {seed}"] if seed is not None else []
        facts += ["resumed"] if event.times_resumed else []
        self.console.print(Text.assemble(("samplerfuzz", "bold"), " fuzz  ", (" · ".join(facts), "dim")))
        if self.console.is_terminal:
            # refreshed by hand: a thread of ours would run beside the target
            self._live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
            self._live.start()

    def _progress(self, event: Progress) -> None:
        if self.quiet:
            return
        if self._live is not None:
            self._active[event.target] = event
            self._live.update(Group(*map(self._line, self._active.values())), refresh=True)
        elif time.monotonic() - self._printed >= _LINE_SECONDS:
            self._printed = time.monotonic()
            planned = f"/{event.seconds_planned:.0f}" if event.seconds_planned else ""
            self.console.print(
                Text(f"{printable(event.target)}  {event.seconds:.0f}{planned} s  {count(event.pairs)} pairs  {event.findings} findings"),
                soft_wrap=True,
            )

    def _line(self, event: Progress) -> Table:
        place = f"{len(self._finished) + 1}/{len(self._targets)}" if len(self._targets) > 1 else ""
        rate = event.pairs / event.seconds if event.seconds > 0 else 0.0
        line = Table.grid(padding=(0, 2))
        line.add_row(
            Text(place, style="dim"),
            Text(_short(event.target, 40), style="bold"),
            ProgressBar(total=max(event.seconds_planned, 1e-9), completed=min(event.seconds, event.seconds_planned), width=24),
            Text(f"{event.seconds:4.0f}/{event.seconds_planned:.0f} s"),
            Text(f"{count(event.pairs)} pairs, {count(rate)}/s"),
            Text(f"{event.findings} found", style="bold red" if event.findings else "green"),
        )
        return line

    def _finding(self, finding: Finding) -> None:
        path = None if self.directory is None else self.directory / "findings" / f"{finding.id}.py"
        self.console.print(finding_block(finding, path, self._known.get(finding.id)))

    def _end(self, event: RunFinished) -> None:
        if not self.quiet and self._finished:
            self.console.print(self._summary())
            for line in self._coverage():
                self.console.print(line, soft_wrap=True)
        pairs = sum(t.pairs for t in self._finished)
        style = {0: "bold green", 1: "bold red"}.get(event.status, "bold yellow")
        text = Text.assemble(
            (event.reason, style),
            f" · {count(pairs)} pairs in {event.seconds:.1f} s ({count(pairs / max(event.seconds, 1e-9))} a second) · exit {event.status} ({MEANINGS.get(event.status, 'error')})",
        )
        self.console.print(text, soft_wrap=True)
        if self.directory is not None and not self.quiet:
            self.console.print(Text.assemble("report: ", (str(self.directory / "report.html"), "bold")), soft_wrap=True)
            if event.status == INTERRUPTED:
                self._say_how_to_resume()

    def _summary(self) -> Table | Group:
        """Return a table, or a paragraph for each target where a name would not fit into a column."""
        names = _names([t.target for t in self._finished])
        heads = ("findings", "pairs", "draws", "s", "pass", "refused", "unclear")
        rows = [(Text(printable(names[t.target])), *self._numbers(t)) for t in self._finished]
        if max(name.cell_len for name, *_ in rows) > self.console.width - _NUMBER_COLUMNS:
            lines = []
            for name, *cells in rows:
                name.stylize("bold")
                numbers = Text(" · ", style="dim").join(
                    Text.assemble((f"{head} ", "dim"), cell) for head, cell in zip(heads, cells) if cell.plain != "0" or head == "findings"
                )
                lines += [name, Text.assemble("  ", numbers)]
            return Group("", *lines, "")
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
        table.add_column("target", no_wrap=True)
        for head in heads:
            table.add_column(head, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        return table

    def _numbers(self, t: TargetFinished) -> list[Text]:
        """Return the cells of one target."""
        unclear = sum(n for name, n in t.outcomes.items() if name not in ("pass", "refused", "finding", "left out"))
        worst = max((f.violation.severity for f in t.findings), key=list(reversed(COLOURS)).index, default="")
        found = Text(f"{len(t.findings)} ({worst})" if worst else "0", style=COLOURS.get(worst, "green"))
        counts = [_brief(t.pairs), _brief(t.draws), f"{t.seconds:.1f}"]
        counts += [_brief(t.outcomes.get("pass", 0)), _brief(t.outcomes.get("refused", 0)), _brief(unclear)]
        return [found, *map(Text, counts)]

    def _last_new(self) -> str:
        """Say how long ago new behaviour was met: whether more time would pay."""
        if len(self._finished) == 1:
            only = self._finished[0]
            return f"the last new one after {only.last_new:.1f} of {only.seconds:.1f} s"
        late = sum(t.last_new > 0.5 * t.seconds for t in self._finished)
        return f"{late} of {len(self._finished)} targets met new ones in the second half of their time"

    def _yields(self) -> str:
        return ", ".join(f"{name} {count(cases)} cases {count(new)} new" for name, (cases, new) in _strategies(self._finished).items())

    def _coverage(self) -> list[Text]:
        """Return what was thrown, which checks ran, which did not and why."""
        regimes: dict[str, int] = {}
        for t in self._finished:
            for name, n in t.covered.items():
                regimes[name] = regimes.get(name, 0) + n
        used = {name for t in self._finished for name, n in t.checks.items() if n}
        skipped = {name for t in self._finished for name in t.skipped} - used
        idle = {name for t in self._finished for name in t.checks} - used - skipped
        lines = []
        if regimes:
            shown = ", ".join(f"{name} {count(n)}" for name, n in sorted(regimes.items(), key=lambda item: -item[1]))
            lines.append(Text.assemble(("logits: ", "dim"), printable(shown)))
        if cells := sum(t.cells for t in self._finished):
            lines.append(Text.assemble(("behaviour: ", "dim"), f"{count(cells)} cells of parameter, logits and answer; {self._last_new()}"))
            lines.append(Text.assemble(("strategies: ", "dim"), self._yields()))
        lines.append(
            Text.assemble(("checks: ", "dim"), f"{len(used)} used" + (f"; without a verdict: {', '.join(sorted(idle))}" if idle else ""))
        )
        if skipped:
            lines.append(Text.assemble(("not applicable: ", "dim"), ", ".join(sorted(skipped))))
        if once := {t.target: n for t in self._finished if (n := t.outcomes.get("unconfirmed", 0))}:
            seen = ", ".join(f"{printable(target)} {count(n)}" for target, n in once.items())
            lines.append(Text(f"wrong once, right when asked again: {seen}; does the answer depend on earlier calls?", style="bold yellow"))
        if left_out := sum(t.outcomes.get("left out", 0) for t in self._finished):
            lines.append(Text.assemble(("left out: ", "dim"), f"{count(left_out)} trials that hold what ends the server"))
        assumed = [s.target for s in self._started.values() if s.order_was_assumed]
        if assumed:
            lines.append(
                Text.assemble(("assumed: ", "dim"), f"the order of stages is the signature's for {', '.join(map(printable, assumed))}")
            )
        return lines


def _strategies(finished: Iterable[TargetFinished]) -> dict[str, tuple[int, int]]:
    """Return strategy -> cases and new cells over all targets, the most used first."""
    total: dict[str, tuple[int, int]] = {}
    for t in finished:
        for name, n in t.strategies.items():
            cases, new = total.get(name, (0, 0))
            total[name] = cases + n["cases"], new + n["new"]
    return dict(sorted(total.items(), key=lambda item: -item[1][0]))


def _brief(number: int) -> str:
    """Return a number in at most five characters: 9,999 but 10 k."""
    return next((f"{number / unit:.0f} {sign}" for unit, sign in ((10**6, "M"), (10**3, "k")) if number >= 10 * unit), count(number))


def _names(targets: list[str]) -> dict[str, str]:
    """Return the function's name of each target where that says which one it is, the whole locator where not."""
    short = {t: t if "://" in t else t.rpartition(":")[2] for t in targets}
    return short if len(set(short.values())) == len(set(targets)) else {t: t for t in targets}


def _short(text: str, width: int) -> str:
    text = printable(text)
    return text if len(text) <= width else "…" + text[-(width - 1) :]
