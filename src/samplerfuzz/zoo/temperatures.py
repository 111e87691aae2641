"""Defects of temperature: overflow, zero, below zero."""

from __future__ import annotations

import numpy as np

import samplerfuzz as sf
from samplerfuzz.zoo.catalog import defect
from samplerfuzz.zoo.correct import distribution, draw_by_gumbel, generator, require, require_logits, require_temperature, scaled, softmax


@defect(id="OL-02", source="ollama/ollama PR #9631, 2025-03-10", kind="overflow", expected_checks=("support", "metamorphic"))
@sf.target(order=["temperature"], returns="probs")
def maximum_is_not_subtracted_at_one(logits, temperature):
    """The temperature stage subtracts the maximum and returns early at T = 1, where the exponential then overflows."""
    require_logits(logits)
    require_temperature(temperature)
    if temperature != 1:
        return distribution(logits, temperature)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        e = np.exp(logits.astype(np.float32))
        return e / e.sum(-1, keepdims=True)


@defect(
    id="EX-02", source="turboderp-org/exllamav2 commit dcd1791, 2023-09-21", kind="overflow", expected_checks=("support", "metamorphic")
)
@sf.target(order=["temperature"], returns="probs", zero_temperature="reject")
def maximum_is_not_subtracted_when_cold(logits, temperature):
    """A cold distribution is exponentiated as it stands, and z/T overflows float32."""
    require_logits(logits)
    require(np.isfinite(temperature) and temperature > 0, f"temperature must be finite and > 0, got {temperature}")
    if temperature >= 0.5:
        return distribution(logits, temperature)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        e = np.exp((logits.astype(np.float64) / temperature).astype(np.float32))
        return e / e.sum(-1, keepdims=True)


@defect(id="OT-02", source="llama-farm/llamafarm PR #818, 2026-04-16", kind="zero temperature", expected_checks=("support", "draws"))
@sf.target(order=["temperature"], returns="tokens")
def zero_temperature_still_draws(logits, temperature, seed):
    """Temperature 0 skips the division and keeps the random draw, as if it were 1."""
    require_logits(logits)
    require_temperature(temperature)
    z = scaled(logits, temperature if temperature > 0 else 1.0)
    return draw_by_gumbel(z, generator(seed))


@defect(id="OT-03", source="karpathy/nanoGPT issue #738, PR #756, 2026-09-08", kind="zero temperature", expected_checks=("contract",))
@sf.target(order=["temperature"], returns="probs")
def zero_temperature_divides(logits, temperature):
    """The logits are divided by a temperature of 0, and the probabilities are NaN."""
    require_logits(logits)
    require_temperature(temperature)
    if temperature > 0:
        return distribution(logits, temperature)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = logits.astype(np.float64) / temperature
        e = np.exp(z - z.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)


@defect(id="TR-06", source="michaelasper/kir-ai issue #160, 2026-05-09", kind="validation", expected_checks=("contract",))
@sf.target(order=["temperature"], returns="probs", negative_temperature="reject")
def negative_temperature_is_accepted(logits, temperature):
    """There is no lower bound, and a negative temperature favours the least likely tokens."""
    require_logits(logits)
    require(np.isfinite(temperature), f"temperature must be finite, got {temperature}")
    return distribution(logits, temperature) if temperature >= 0 else softmax(scaled(logits, temperature))
