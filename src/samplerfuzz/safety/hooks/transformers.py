"""A monitor inside `generate` of transformers.

    watch = MonitorProcessor(TokenMonitor(declared_from(model.generation_config)), eos_token_ids=[model.generation_config.eos_token_id])
    result = model.generate(**inputs, logits_processor=LogitsProcessorList([watch]), return_dict_in_generate=True, output_scores=True)
    watch.finish(result.sequences, result.scores)
    watch.monitor.alarms

`generate` calls it after penalties and biases and before temperature and filters, so the law of a step is that of the warpers alone, and they may be declared alone. The token of a step is
the last id of the next call; that of the last step is known to `finish`, which also holds the scores after the warpers, where they were asked for, against the declared kept sets.

Nothing is changed: the scores go on as they came. One text a row: not for beams, whose rows change places.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from transformers import LogitsProcessor

from samplerfuzz.core.errors import ParameterError
from samplerfuzz.safety.declared import Declared
from samplerfuzz.safety.hooks.callback import TokenMonitor
from samplerfuzz.safety.moments import Moments

WARPERS = ("temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")


def declared_from(generation_config: Any, *, dtype: str = "float32") -> Declared:
    """Return what the warpers of a `GenerationConfig` with do_sample=True declare; those that are None do nothing."""
    given = {name: getattr(generation_config, name, None) for name in WARPERS}
    return Declared.of({name: value for name, value in given.items() if value is not None}, dialect="transformers", dtype=dtype)


class MonitorProcessor(LogitsProcessor):
    """Watch the tokens of `generate`; its own argument `logits_processor` takes it.

    Args:
      monitor: what is fed; it was made with what the warpers declare.
      eos_token_ids: a row that emitted one of them is over, and what follows is padding.

    Attributes:
      kept_after: moments of the number of tokens that the warpers left, of the steps that `finish` was given scores of.
      wrongly_kept, wrongly_removed: steps in which they left a token that no correct warper keeps, or removed one that each keeps.
    """

    def __init__(self, monitor: TokenMonitor, *, eos_token_ids: Iterable[int] = ()) -> None:
        self.monitor = monitor
        self.kept_after = Moments()
        self.wrongly_kept = self.wrongly_removed = 0
        self._ends = frozenset(int(token) for token in eos_token_ids)
        self._before: list[np.ndarray] = []
        self._length = 0
        self._running = np.zeros(0, bool)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Note the scores of a step, and take the one before with the token that it gave."""
        ids = np.asarray(input_ids.detach().cpu())
        if self._before and ids.shape == (len(self._running), self._length + len(self._before)):
            self._take(ids[:, -1])
        else:
            # another text, whose predecessor was not finished: its last step is lost
            self._before, self._length, self._running = [], ids.shape[1], np.ones(len(ids), bool)
        self._before.append(scores.detach().float().cpu().numpy().copy())
        return scores

    def finish(self, sequences: Any, scores: Sequence[Any] | None = None) -> None:
        """Take the last step of a text, and check what the warpers did at every one.

        Args:
          sequences: [B, T], what `generate` returned.
          scores: [B, V] a step, what it returned with output_scores=True.

        Raises:
          ParameterError: they are not of the text that was watched.
        """
        ids = np.asarray(sequences.detach().cpu())
        if not self._before or ids.shape != (len(self._running), self._length + len(self._before)):
            raise ParameterError(f"sequences have shape {ids.shape}: expected those of the call of generate that was watched")
        self._take(ids[:, -1])
        if scores is not None:
            self._check(ids[:, self._length :], scores)
        self._before = []

    def _take(self, tokens: np.ndarray) -> None:
        for row in np.flatnonzero(self._running):
            self.monitor(self._before[-1][row], int(tokens[row]))
            self._running[row] = int(tokens[row]) not in self._ends

    def _check(self, tokens: np.ndarray, scores: Sequence[Any]) -> None:
        """Hold the supports after the warpers against the declared ones."""
        declared = self.monitor.declared
        running = np.ones(len(tokens), bool)
        for step, (before, after) in enumerate(zip(self._before, scores, strict=True)):
            left = after.detach().float().cpu().numpy() > -np.inf
            for row in np.flatnonzero(running):
                self.kept_after = self.kept_after.merge(Moments.of([left[row].sum()]))
                if declared is not None and np.isfinite(before[row]).any() and not np.isnan(before[row]).any():
                    law = declared.law(before[row])
                    self.wrongly_kept += bool((left[row] & ~law.kept).any())
                    self.wrongly_removed += bool((~left[row] & law.must).any())
                running[row] = int(tokens[row, step]) not in self._ends

    def describe(self) -> dict[str, Any]:
        """Return what a report says, as JSON data."""
        told = {"wrongly_kept": self.wrongly_kept, "wrongly_removed": self.wrongly_removed, "kept_after": self.kept_after.to_json()}
        return {**self.monitor.describe(), **told}
