"""The table of claims about a server. Those of a plain function that a server can break too are named as there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from samplerfuzz.checks.registry import load_all
from samplerfuzz.core.errors import UsageError

_SHARED = (
    "process_survives",
    "call_returns",
    "legal_parameters_are_accepted",
    "nonsense_is_not_answered",
    "different_seeds_give_different_draws",
    "kept_token_has_probability",
    "no_more_tokens_stay_than_a_rule_keeps",
    "removed_token_has_no_probability",
    "probability_matches_the_definition",
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim: its id, the severity of breaking it, its kind, and a paragraph for people."""

    id: str
    severity: str
    kind: str
    explanation: str


def own_claims() -> dict[str, Claim]:
    """Return the claims that only a server can break."""
    return {claim.id: claim for claim in _OWN}


def claims() -> dict[str, Claim]:
    """Return every claim that is tested on a server."""
    table = load_all()
    shared = [table[name] for name in _SHARED]
    return {c.id: Claim(id=c.id, severity=c.severity, kind=c.kind, explanation=c.explanation) for c in shared} | own_claims()


def select_claims(names: Sequence[str], excluded: Sequence[str]) -> dict[str, Claim]:
    """Return the claims named by id or kind (all when none is named), less the excluded ones.

    Raises:
      UsageError: a name that is neither an id nor a kind.
    """
    table = claims()
    kinds = {claim.kind for claim in table.values()}
    for name in (*names, *excluded):
        if name not in table and name not in kinds:
            raise UsageError(f"unknown check {name!r} of a server; kinds: {', '.join(sorted(kinds))}; ids: {', '.join(sorted(table))}")
    chosen = {
        id: claim for id, claim in table.items() if (not names or {id, claim.kind} & set(names)) and not {id, claim.kind} & set(excluded)
    }
    if not chosen:
        raise UsageError("no check is left; exclude fewer")
    return chosen


def _claim(id: str, severity: str, kind: str, explanation: str) -> Claim:
    return Claim(id=id, severity=severity, kind=kind, explanation=explanation)


_OWN = (
    _claim(
        "request_is_answered",
        "high",
        "contract",
        "A server that lives answers every request: an error is an answer, a connection that ends without one is not. The client cannot\n"
        "tell it from a broken network, and sends the same request again.",
    ),
    _claim(
        "server_does_not_fail",
        "medium",
        "contract",
        "What is wrong with a request is said with a status of 400 to 499. A status of 500 and more says that the server is broken: clients\n"
        "send the request again, balancers take the server out, and someone is woken up. On an ordinary request it is severe.",
    ),
    _claim(
        "answer_is_json",
        "medium",
        "contract",
        "The body of an accepted request is JSON, in which NaN and Infinity do not exist: strict clients cannot read them.",
    ),
    _claim(
        "settings_are_those_sent",
        "medium",
        "contract",
        "A server that says with which settings it sampled has sampled with those that were sent. A value that was rounded to single\n"
        "precision is the same, and one beyond the common domain may be taken for the nearest that there is. One that wrapped around, lost\n"
        "its fraction or was replaced by a default is another one, and nobody was told. Low where it could have been refused.",
    ),
    _claim(
        "same_seed_gives_the_same_text",
        "high",
        "seeds",
        "Two equal requests with the same seed, one after the other on a server that does nothing else, give the same text.",
    ),
    _claim(
        "greedy_takes_the_most_probable",
        "high",
        "support",
        "Temperature 0 and top_k = 1 take the token that the server itself says is the most probable, or one that ties with it.",
    ),
    _claim(
        "parameter_is_not_ignored",
        "medium",
        "contract",
        "A parameter that a server takes has its effect, or is refused. Tested are values that leave no choice: with top_k = 1 or min_p = 1\n"
        "every seed takes the most probable token, where without them the seeds differ.",
    ),
)
