"""A call that has nothing to do with the one after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from samplerfuzz.cases.case import Case
from samplerfuzz.core.registry import parameter


def neutral_values(case: Case) -> dict[str, Any]:
    """Return for each parameter of a case the value that does nothing, or an ordinary one where nothing does nothing."""
    return {name: parameter(name).switched_off(case.vocabulary) for name in case.parameters}


def call_before(case: Case) -> Case:
    """Return a call of the same shape: the rows read backwards, every parameter neutral."""
    given = {
        name: np.full(case.rows, value, np.float64) if parameter(name).is_number else [value] * case.rows
        for name, value in neutral_values(case).items()
    }
    return case.with_(logits=np.ascontiguousarray(case.logits[:, ::-1]), parameters=given)
