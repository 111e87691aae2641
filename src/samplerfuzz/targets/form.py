"""What a function that declares no form of answer returns."""

from __future__ import annotations

import numpy as np

from samplerfuzz.cases import Generator
from samplerfuzz.targets.target import Target


def form_of(target: Target) -> str | None:
    """Return "logits", "probs" or "tokens": as declared, or told from the answer to one ordinary call; None where that is refused."""
    if target.spec.returns is not None:
        return target.spec.returns
    generator = Generator(parameters=target.spec.parameters, inputs=target.spec.inputs, per_row=target.spec.per_row)
    case = generator.case(np.random.default_rng(0), rows=2, size=4, strategy="ordinary", regime="normal")
    outcome = target.run(case)
    return outcome.form if outcome.kind == "value" else None
