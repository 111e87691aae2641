"""How many seeds are looked at."""

import numpy as np

import samplerfuzz as sf
from samplerfuzz.cases import Case
from samplerfuzz.checks import seeds
from samplerfuzz.checks.registry import load_all
from samplerfuzz.engine.counted import Counted
from samplerfuzz.targets.plain import PlainTarget


def looked(keep_bits):
    """Return the calls made, and whether seeds of which a few bits are kept are told."""

    @sf.target(order=[], returns="tokens")
    def draw(logits, seed):
        return np.random.default_rng(seed % 2**keep_bits).integers(0, logits.shape[1], len(logits))

    target = Counted(PlainTarget(draw, locator="draw"), 0)
    found = load_all()["different_seeds_give_different_draws"].examine(target, Case(logits=np.zeros((1, 4), np.float32)))
    return target.calls, bool(found)


def test_a_slow_target_is_asked_with_fewer_seeds(monkeypatch):
    assert looked(31) == (256, False)
    monkeypatch.setattr(seeds, "_SECONDS", 0.0)
    assert looked(31) == (16, False)
    assert looked(0) == (2, True)
