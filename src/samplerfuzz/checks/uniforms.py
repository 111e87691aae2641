"""Injected uniforms: the law of a draw that is a function of u, without any statistics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.frequencies import laws_of_legal_row, tokens_of
from samplerfuzz.checks.registry import Check, probe
from samplerfuzz.targets.target import Target

_GRID, _BATCH = 16384, 1024


@probe("medium", "uniforms", applies=lambda spec: spec.returns == "tokens" and "u" in spec.inputs)
def uniform_grid_follows_the_law(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """With u on a grid of 16384 points, each token's share of the grid is its probability. A draw that steps through u (inverse CDF, alias
    method) misses by a grid point for each end of each step; for a draw that hashes u the bound is six standard errors."""
    template = case.take([0])
    laws = laws_of_legal_row(target.spec, template)
    if laws is None:
        return
    grid = (np.arange(_GRID) + 0.5) / _GRID
    drawn = []
    for start in range(0, _GRID, _BATCH):
        tokens = tokens_of(target, template.take(np.zeros(_BATCH, np.int64)).with_(u=grid[start : start + _BATCH]))
        if tokens is None:
            return
        drawn.append(tokens)
    tokens = np.concatenate(drawn)
    counts, slack = np.bincount(tokens, minlength=case.vocabulary), grid_slack(tokens, case.vocabulary)
    share = counts / _GRID
    excess = np.full(case.vocabulary, np.inf)
    for law in laws:
        excess = np.minimum(excess, np.maximum(law.low - share, share - law.high) - slack)
    if (excess > 0).any():
        token = int(np.argmax(excess))
        low, high = laws[0].low, laws[0].high
        yield Violation(
            check=self.id,
            severity=self.severity,
            row=0,
            title=f"token {token} takes {share[token]:.4g} of a grid of u; the definition gives {low[token]:.4g} to {high[token]:.4g}",
            expected=laws[0].expected(),
            observed={"outcome": "value", "counts": counts.astype(int).tolist(), "slack": slack.tolist()},
            protocol="grid",
            statistic={"n": float(_GRID)},
        )


def grid_slack(tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """Return [V] by how much a token's share of a grid may honestly miss its measure, given what the grid drew, in order.

    A token that takes r stretches of the grid has 2r ends, each known to a grid point. Where there are more stretches than any method that
    steps through u makes (two a column of an alias table), u is hashed and the grid is a sample: six standard errors.
    """
    n = len(tokens)
    begins = np.concatenate([[True], tokens[1:] != tokens[:-1]])
    stretches = np.bincount(tokens[begins], minlength=vocabulary)
    if begins.sum() <= 4 * vocabulary + 16:
        return (2.0 * stretches + 2) / n + 1e-6
    share = np.bincount(tokens, minlength=vocabulary) / n
    return 2 * vocabulary / n + 6 * np.sqrt(np.maximum(share * (1 - share), 1 / n) / n) + 1e-6
