"""A baseline of a model: how the statistics of its distributions lie over ordinary texts. Mergeable; JSON on disk.

It keeps the means of each text, since the steps of one text are not independent and texts are: what a new text is compared with are texts.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety.sketch import Sketch

FORMAT = "samplerfuzz distribution profile 1"
WATCHED = ("entropy", "relative_entropy", "varentropy", "log_max_min_ratio", "skewness", "excess_kurtosis", "kept")
CHANGE = "entropy_change"  # |H − H of the step before|
Step = Mapping[str, Any]
_LARGEST = 1e100  # what is beyond counts as this much, so that sums of squares stay finite


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text.

    Attributes:
      steps: how many tokens.
      means: statistic -> mean over the steps in which it is defined; missing where it never is.
    """

    steps: int
    means: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A baseline.

    Attributes:
      model: its name.
      settings: sampling parameters of the texts, for the reader: another temperature is another distribution.
      texts: each text.
      steps: statistic -> its distribution over all steps.
    """

    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    texts: tuple[Text, ...] = ()
    steps: Mapping[str, Sketch] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Iterable[Sequence[Step]], *, model: str = "", settings: Mapping[str, Any] | None = None) -> Profile:
        """Return the baseline of texts, each a sequence of steps (statistic -> number, None where undefined)."""
        columns = [columns_of(text) for text in texts]
        return cls(
            model=model,
            settings=dict(settings or {}),
            texts=tuple(text_of(column) for column in columns),
            steps={name: Sketch.of(itertools.chain.from_iterable(c[name] for c in columns)) for name in (*WATCHED, CHANGE)},
        )

    def merge(self, other: Profile) -> Profile:
        """Return the baseline of the texts of both.

        Raises:
          UsageError: they are of different models or settings.
        """
        if (self.model, dict(self.settings)) != (other.model, dict(other.settings)):
            mine, theirs = f"{self.model!r} {dict(self.settings)}", f"{other.model!r} {dict(other.settings)}"
            raise UsageError(f"a profile of {mine} and one of {theirs}; merge profiles of one model with the same settings")
        steps = {name: self.steps.get(name, Sketch()).merge(other.steps.get(name, Sketch())) for name in (*WATCHED, CHANGE)}
        return Profile(model=self.model, settings=self.settings, texts=self.texts + other.texts, steps=steps)

    def to_json(self) -> dict[str, Any]:
        """Return the baseline as JSON data."""
        return {
            "format": FORMAT,
            "model": self.model,
            "settings": dict(self.settings),
            "statistics": {name: sketch.to_json() for name, sketch in self.steps.items()},
            "texts": [{"steps": text.steps, "means": dict(text.means)} for text in self.texts],
        }


def load_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
      UsageError: the file is missing or no profile.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: expected a profile ({error})") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(
            f"{path}: expected the format {FORMAT!r}, found {data.get('format') if isinstance(data, dict) else type(data).__name__!r}"
        )
    try:
        return Profile(
            model=str(data["model"]),
            settings=dict(data["settings"]),
            texts=tuple(
                Text(steps=int(text["steps"]), means={str(name): _finite(mean) for name, mean in text["means"].items()})
                for text in data["texts"]
            ),
            steps={str(name): Sketch.from_json(sketch) for name, sketch in data["statistics"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path}: a damaged profile ({type(error).__name__}: {error}); make it again") from error


def read_profile_of(paths: Iterable[Path]) -> Profile:
    """Return the baseline of all texts in some files.

    Args:
      paths: profiles, or JSON objects with `model` and `steps`: a list of texts, each a list of steps (statistic -> number or null); `sampling`, where it
        is there, becomes the settings.

    Raises:
      UsageError: a file is neither, or they are of different models or settings.
    """
    profiles = [_read(path) for path in paths]
    if not profiles:
        raise UsageError("a profile of no file; name at least one")
    return functools.reduce(Profile.merge, profiles)


def _read(path: Path) -> Profile:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: expected the statistics of texts, or a profile ({error})") from error
    if isinstance(data, dict) and data.get("format") == FORMAT:
        return load_profile(path)
    try:
        texts = [[{name: value for name, value in step.items() if name in WATCHED} for step in text] for text in data["steps"]]
        return Profile.of(texts, model=str(data["model"]), settings=data.get("sampling"))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{path}: expected model and steps, a list of lists of objects ({type(error).__name__}: {error})") from error


def columns_of(text: Sequence[Step]) -> dict[str, list[float]]:
    """Return statistic -> its finite values over the steps of a text, the change of the entropy among them.

    >>> columns_of([{"entropy": 1.0}, {"entropy": 3.0, "skewness": None}])["entropy_change"]
    [2.0]
    """
    found = {name: [_bounded(x) for step in text if (x := step.get(name)) is not None and math.isfinite(x)] for name in WATCHED}
    return {**found, CHANGE: [abs(b - a) for a, b in itertools.pairwise(found["entropy"])]}


def text_of(columns: Mapping[str, Sequence[float]]) -> Text:
    """Return the means of a text."""
    means = {name: math.fsum(values) / len(values) for name, values in columns.items() if values}
    return Text(steps=max(map(len, columns.values()), default=0), means=means)


def _bounded(value: float) -> float:
    return min(max(float(value), -_LARGEST), _LARGEST)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"the mean {value!r}")
    return float(value)
