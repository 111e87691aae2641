"""Injected uniforms: the law of a draw that is a function of u, without any statistics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samplerfuzz.cases import Case
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.frequencies import counted, laws_of_legal_row
from samplerfuzz.checks.registry import Check, probe
from samplerfuzz.targets.target import Target

_GRID, _BATCH = 16384, 1024


@probe("medium", "uniforms", applies=lambda spec: spec.returns == "tokens" and "u" in spec.inputs)
def uniform_grid_follows_the_law(self: Check, target: Target, case: Case) -> Iterator[Violation]:
    """With u on a fine grid, each token's share of the grid is its probability. An inverse CDF misses by 2/n a token, the alias
    method by V/n; the bound allows 2V/n and, for draws that hash u, six standard errors."""
    template = case.take([0])
    laws = laws_of_legal_row(target, template)
    if laws is None:
        return
    counts = np.zeros(case.vocabulary)
    grid = (np.arange(_GRID) + 0.5) / _GRID
    for start in range(0, _GRID, _BATCH):
        batch = template.take(np.zeros(_BATCH, np.int64)).with_(u=grid[start : start + _BATCH])
        drawn = counted(target, batch)
        if drawn is None:
            return
        counts += drawn
    share = counts / _GRID
    excess = np.full(case.vocabulary, np.inf)
    for law in laws:
        middle = np.clip(share, law.low, law.high)
        slack = 2 * case.vocabulary / _GRID + 6 * np.sqrt(middle * (1 - middle) / _GRID) + 1e-6
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
            observed={"outcome": "value", "counts": counts.astype(int).tolist()},
            protocol="grid",
            statistic={"n": float(_GRID)},
        )
