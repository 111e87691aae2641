"""Does a call answer at all, in the promised shape, and does it refuse what has no answer?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samplerfuzz.checks.evidence import observed_row
from samplerfuzz.checks.finding import Violation
from samplerfuzz.checks.judgement import Judgement
from samplerfuzz.checks.registry import Check, check


@check("critical", "contract")
def call_returns(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """A call ends. Threshold searches have looped for ever on a −∞ entry or on two probabilities one ulp apart. An alarm rings in
    the call at the time limit; one that does not heed it, in native code for instance, is killed with its process."""
    if judgement.outcome.kind == "hang":
        yield self_violation(
            self,
            f"hangs: {judgement.outcome.message}",
            {"outcome": "refusal or value"},
            {"outcome": "hang", "message": judgement.outcome.message},
        )


@check("critical", "contract")
def process_survives(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """A call leaves the process of its caller alive. A segfault, a failed assertion of native code (SIGABRT), os._exit, memory
    without end: each takes down every other request of the server with the one that caused it. So do sys.exit() and whatever
    else is raised that `except Exception` does not stop (SystemExit, KeyboardInterrupt, a panic of native code): it is no
    refusal. Refusing with any ordinary exception, MemoryError included, is fair. A call that does not end is `call_returns`."""
    if judgement.outcome.kind == "crash":
        message = judgement.outcome.message
        yield self_violation(
            self, f"ends the process: {message}", {"outcome": "refusal or value"}, {"outcome": "crash", "message": message}
        )


@check("high", "contract")
def answer_has_the_promised_shape(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """The answer is an array of the declared form: [B, V] logits or probabilities, or [B] integer tokens."""
    if judgement.outcome.kind == "malformed":
        yield self_violation(
            self, judgement.outcome.message, {"outcome": "value"}, {"outcome": "malformed", "message": judgement.outcome.message}
        )


@check("medium", "contract")
def legal_parameters_are_accepted(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """Finite logits and parameters of the common domain (0.001 <= T <= 2, 1 <= top_k <= V, 0.001 <= top_p <= 1, ...) are
    answered, for every combination and batch size."""
    if judgement.outcome.kind == "raised" and judgement.legal.all():
        message = judgement.outcome.message
        yield self_violation(self, f"refuses legal input: {message}", {"outcome": "value"}, {"outcome": "raised", "message": message})


@check("high", "contract")
def clean_input_gives_no_nan(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """A row without NaN, with parameters that mean something, gives no NaN and no +∞. The usual causes are an exp that
    overflows before the maximum is subtracted, 0 · −∞, and a division by a temperature of zero."""
    if judgement.outcome.kind != "value" or judgement.outcome.form == "tokens":
        return
    for row in np.flatnonzero(judgement.poisoned & ~judgement.poison_allowed):
        yield Violation(
            check=self.id,
            severity=self.severity,
            row=int(row),
            title="clean input gives a row with NaN, +inf or a negative probability",
            expected={"outcome": "refusal or value"},
            observed={"outcome": "NaN row", "values": [str(x) for x in np.asarray(judgement.outcome.value[row], np.float64)[:64]]},
        )
        return


@check("low", "contract")
def nonsense_is_not_answered(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """A NaN in the logits or in a parameter, or a row in which everything is masked, has no clean answer. Raising is right,
    NaN out is fair for a filter; a token or a clean distribution hides the fault upstream."""
    if judgement.outcome.kind != "value":
        return
    z = judgement.case.logits
    if judgement.outcome.form == "tokens":
        inside = (judgement.outcome.value >= 0) & (judgement.outcome.value < judgement.case.vocabulary)
        answered = inside & ~np.isposinf(z).any(-1)
    else:
        answered = ~judgement.poisoned & (judgement.distributions > 0).any(-1)
        answered &= ~(np.isposinf(z).any(-1) & ~((judgement.distributions > 0) & ~np.isposinf(z)).any(-1))
    for row in np.flatnonzero(answered & judgement.nonsense):
        what = (
            "a NaN logit"
            if np.isnan(z[row]).any()
            else "a row that is all -inf"
            if np.isneginf(z[row]).all()
            else "a +inf logit"
            if np.isposinf(z[row]).any()
            else "a NaN parameter"
        )
        yield Violation(
            check=self.id,
            severity=self.severity,
            row=int(row),
            title=f"{what} gets a clean-looking answer",
            expected={"outcome": "refusal or NaN"},
            observed=observed_row(judgement, int(row)),
        )
        return


@check("low", "contract")
def input_is_not_changed(self: Check, judgement: Judgement) -> Iterator[Violation]:
    """The caller's logits are the same after the call. Overwriting them corrupts whoever reads the row next: log-probabilities,
    a second chain, a retry."""
    if judgement.outcome.kind == "value" and judgement.outcome.mutated:
        yield self_violation(
            self,
            "the call changed the caller's logits array",
            {"outcome": "value", "mutated": False},
            {"outcome": "value", "mutated": True},
        )


def self_violation(
    self: Check, title: str, expected: dict[str, object], observed: dict[str, object], *, protocol: str = "call"
) -> Violation:
    """Return a violation about the whole call."""
    return Violation(check=self.id, severity=self.severity, row=0, title=title, expected=expected, observed=observed, protocol=protocol)
