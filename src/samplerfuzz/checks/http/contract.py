"""Every parameter at every edge: the server answers, with an error or with what was asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from samplerfuzz.checks.http.trial import Suspicion, Trial
from samplerfuzz.checks.http.values import BESIDE, BIASES, COUNTS, NONSENSE, common, is_legal, numbers
from samplerfuzz.targets.http.exchange import Reply, Request
from samplerfuzz.targets.http.probe import CHAT, COMPLETION, OPENAI, Capabilities

# negative ones ask for something else than that number (all of the context, a seed of the server's choice)
_MEANT = ("seed", "repeat_last_n", "dry_penalty_last_n")


def contract(known: Capabilities) -> Iterator[Trial]:
    """Yield a trial for every value of every parameter at every endpoint."""
    for endpoint, names in known.parameters.items():
        for name in _numeric(names):
            beside = {key: value for key, value in BESIDE.get(name, {}).items() if key in names}
            for number in numbers(name):
                yield _trial(known, endpoint, name, number, beside=beside)
            for word, value in NONSENSE:
                yield _trial(known, endpoint, name, value, nonsense=word, beside=beside)
            yield _trial(known, endpoint, name, None, beside=beside)
        for bias in BIASES:
            yield _trial(known, endpoint, "logit_bias", bias)
        counted = {COMPLETION: ("n_probs", "min_keep"), OPENAI: ("logprobs",), CHAT: ("top_logprobs",)}[endpoint]
        for name in counted:
            for count in COUNTS:
                yield _trial(known, endpoint, name, count, beside={"logprobs": True} if endpoint == CHAT else {})
        for body in ("", "{", "[]", "null", '"x"', "1", "[" * 1000):
            yield _broken(endpoint, body)
        prompts: tuple[Any, ...] = (1, None, [], {}, [-1], [2**31], [[]], True, "")
        for prompt in prompts:
            field = "messages" if endpoint == CHAT else "prompt"
            yield _trial(known, endpoint, field, prompt)
    # last: another implementation of the chain may not survive what the first one does
    for switch in known.switches:
        for name in _numeric(known.parameters[COMPLETION]):
            for number in numbers(name):
                yield _trial(known, COMPLETION, name, number, beside={**BESIDE.get(name, {}), switch: True})


def _numeric(names: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys((*names, "seed")) if name != "logit_bias"]


def _trial(
    known: Capabilities, endpoint: str, name: str, value: Any, *, nonsense: str = "", beside: Mapping[str, Any] = MappingProxyType({})
) -> Trial:
    what = (
        " beside ".join([f"{name}={json.dumps(value)}", *(f"{key}={json.dumps(other)}" for key, other in beside.items())])
        + f" at {endpoint}"
    )
    legal = is_legal(name, value) and name in known.parameters[endpoint]
    echoed = endpoint == COMPLETION and known.reads(endpoint, name)
    suspected: list[Suspicion] = []
    if legal:
        suspected.append(
            Suspicion(check="legal_parameters_are_accepted", kind="refusal", title=f"{what} is legal and is refused", about=name)
        )
    if nonsense and known.reads(endpoint, name):
        suspected.append(
            Suspicion(check="nonsense_is_not_answered", kind="accepted", title=f"{what} is {nonsense} and is accepted", about=nonsense)
        )
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and not nonsense
    ends = common(name)
    if echoed and is_number and ends is not None and not (name in _MEANT and value < 0):
        suspected.append(
            Suspicion(
                check="settings_are_those_sent",
                kind="setting",
                title=f"{what} is silently changed",
                about=name if legal else "beyond the common domain",
                constants={"name": name, "sent": value, "low": ends[0], "high": ends[1]},
                severity="" if legal else "low",
            )
        )
    return Trial(
        requests=(Request.of(endpoint, known.body(endpoint, {"seed": 1, **beside, name: value})),),
        judged=partial(_given, suspected),
        legal=legal,
        what=what,
        about=name,
    )


def _given(suspected: list[Suspicion], replies: Sequence[Reply]) -> list[Suspicion]:
    return suspected


def _broken(endpoint: str, body: str) -> Trial:
    return Trial(
        requests=(Request(path=endpoint, body=body),),
        judged=partial(_given, []),
        legal=False,
        what=f"the body {body!r} at {endpoint}",
        about="body",
    )
