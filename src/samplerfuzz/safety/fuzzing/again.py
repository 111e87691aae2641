"""One configuration held against one claim once more: what a reproducer runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samplerfuzz.safety.fuzzing.campaign import probes_of
from samplerfuzz.safety.pipeline import SamplingSafetyPipeline
from samplerfuzz.safety.policy_file import load_policy


def broken_again(policy_file: str | None, subject: str, claim: str, config: Mapping[Any, Any]) -> str:
    """Return how `subject` breaks a claim on `config`; an empty text where it does not.

    Args:
      policy_file: of the policy; None: the shipped one.
      subject: "policy.decide" or the name of a validator.
      claim: one of `claims.CLAIMS`.
      config: of a request.

    >>> broken_again(None, "policy.decide", "nothing_outside_passes", {"temperature": float("nan")})
    ''
    """
    policy = load_policy(None if policy_file is None else Path(policy_file))
    probe = probes_of(policy, SamplingSafetyPipeline(policy=policy).validators).get(subject)
    return "" if probe is None else next((said for broken, said in probe(config) if broken == claim), "")
