"""registry.json: the anomalous tokens of one model, as a census found them, for a guard to load. Needs the standard library only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplerfuzz.core.errors import UsageError

FORMAT = "samplerfuzz anomalous tokens 1"


@dataclass(frozen=True, kw_only=True)
class AnomalousTokens:
    """The tokens that a model cannot say.

    Attributes:
      model: its name.
      model_sha256, tokenizer_sha256: of the files that were examined.
      threshold: largest probability of a token that is listed.
      tokens: id -> largest probability with which the model said it when it was told to.
      texts: id -> the token, escaped.
    """

    model: str
    model_sha256: str
    tokenizer_sha256: str
    threshold: float
    tokens: Mapping[int, float]
    texts: Mapping[int, str]

    def to_json(self) -> dict[str, Any]:
        """Return the registry as JSON data."""
        entries = [{"id": i, "text": self.texts[i], "p": p} for i, p in self.tokens.items()]
        hashes = {"model_sha256": self.model_sha256, "tokenizer_sha256": self.tokenizer_sha256}
        return {"format": FORMAT, "model": self.model, **hashes, "threshold": self.threshold, "tokens": entries}


def load_registry(path: Path) -> AnomalousTokens:
    """Read a registry.

    Raises:
      UsageError: the file is missing, is no registry, or holds an id or a probability that is none.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: expected a registry.json of `samplerfuzz probe census` ({error})") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(
            f"{path}: expected the format {FORMAT!r}, found {data.get('format') if isinstance(data, dict) else type(data).__name__!r}"
        )
    try:
        entries = {entry["id"]: entry for entry in data["tokens"]}
        for token, entry in entries.items():
            if (
                type(token) is not int
                or token < 0
                or not (isinstance(entry["p"], int | float) and math.isfinite(entry["p"]) and 0 <= entry["p"] <= 1)
            ):
                raise UsageError(f"{path}: token {token!r} with p = {entry['p']!r}: expected an id of at least 0 and a probability")
        return AnomalousTokens(
            model=str(data["model"]),
            model_sha256=str(data["model_sha256"]),
            tokenizer_sha256=str(data["tokenizer_sha256"]),
            threshold=float(data["threshold"]),
            tokens={token: float(entry["p"]) for token, entry in entries.items()},
            texts={token: str(entry["text"]) for token, entry in entries.items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: a registry without {error}; take the census again") from error
