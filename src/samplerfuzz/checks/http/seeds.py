"""Seeds, greedy choices and parameters without an effect: told from tokens taken and from what the server says is probable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from samplerfuzz.checks.http.trial import Suspicion, Trial
from samplerfuzz.targets.http.exchange import Reply, Request
from samplerfuzz.targets.http.probe import COMPLETION, Capabilities, probabilities_asked
from samplerfuzz.targets.http.returned import Listed, listed

_LISTED = 5
_SEEDS = (0, 1, 2, 3, 7, 42, 1000, 65536, 2**31 - 1)
_REPEATED = (0, 42, 2**31 - 1)
_REPEATS = 8  # two draws of a server that ignores the seed agree too often for a program that is to show it
_NEVER = math.log(1e-9)  # chance that correct draws from seeds that differ all agree
_MOST_SEEDS = 64
_PROMPTS = ("The sky is", "Once upon a time", "1, 2, 3,", "My favourite word is")
_NO_CHOICE: dict[str, Any] = {"top_k": 1, "min_p": 1.0}


def seeds_and_choices(known: Capabilities, send: Callable[[Request], Reply]) -> Iterator[Trial]:
    """Yield trials of seeds, of greedy settings and of settings that leave no choice."""
    for endpoint, names in known.parameters.items():
        for prompt in _PROMPTS:
            asked = partial(_request, known, endpoint, prompt)
            reference = listed(send(asked()).data)
            if reference is None:
                continue  # without probabilities neither ties nor noise of the model can be told from a defect
            if "temperature" in names:
                for seed in _SEEDS[:4]:
                    yield _greedy(endpoint, asked(temperature=0.0, seed=seed), asked(), {"temperature": 0.0})
            for name, value in _NO_CHOICE.items():
                for seed in _SEEDS if name in names else ():
                    yield _no_choice(endpoint, asked(seed=seed, **{name: value}), asked(), {name: value})
            if "seed" not in names:
                continue
            for seed in _REPEATED:
                requests = (asked(seed=seed),) * _REPEATS
                yield Trial(requests=requests, judged=partial(_same, seed, endpoint), what=f"seed={seed} at {endpoint}", alone=True)
            count = _needed(reference)
            if count <= _MOST_SEEDS:
                requests = tuple(asked(seed=1000 + 17 * n) for n in range(count))
                yield Trial(requests=requests, judged=partial(_different, endpoint), what=f"many seeds at {endpoint}", alone=True)


def _request(known: Capabilities, endpoint: str, prompt: str, **fields: Any) -> Request:
    return Request.of(endpoint, known.body(endpoint, {**probabilities_asked(endpoint, _LISTED), **fields}, prompt=prompt))


def _needed(reference: Listed) -> int:
    """Return how many seeds it takes until it cannot be chance that all of them take the same token."""
    top = max(reference.logprobs)
    return math.ceil(_NEVER / top) if top < -1e-3 else _MOST_SEEDS + 1


def _greedy(endpoint: str, request: Request, reference: Request, setting: dict[str, Any]) -> Trial:
    return _best("greedy_takes_the_most_probable", "", endpoint, request, reference, setting)


def _no_choice(endpoint: str, request: Request, reference: Request, setting: dict[str, Any]) -> Trial:
    # OpenAI's interface has neither of them: a server that ignores what it does not know says so in no place
    return _best("parameter_is_not_ignored", "" if endpoint == COMPLETION else "low", endpoint, request, reference, setting)


def _best(check: str, severity: str, endpoint: str, request: Request, reference: Request, setting: dict[str, Any]) -> Trial:
    name, value = next(iter(setting.items()))
    what = f"{name}={value!r} at {endpoint}"
    suspicion = Suspicion(check=check, kind="not_best", title=f"{what} leaves a choice", about=f"{endpoint} {name}", severity=severity)
    return Trial(requests=(request, reference), judged=lambda replies: [suspicion], what=what, about=name, alone=True)


def _same(seed: int, endpoint: str, replies: Sequence[Reply]) -> Iterator[Suspicion]:
    if not _same_model(replies):
        return
    yield Suspicion(
        check="same_seed_gives_the_same_text",
        kind="texts_differ",
        title=f"seed={seed} at {endpoint} gives several texts for one request, from equal probabilities",
        about=endpoint,
    )


def _same_model(replies: Sequence[Reply]) -> bool:
    """Whether the model said the same before each draw: where it does not, other tokens for the same seed are fair."""
    said = [listed(reply.data) for reply in replies]
    first = said[0]
    return first is not None and all(s is not None and (s.names, s.logprobs) == (first.names, first.logprobs) for s in said)


def _different(endpoint: str, replies: Sequence[Reply]) -> Iterator[Suspicion]:
    yield Suspicion(
        check="different_seeds_give_different_draws",
        kind="texts_agree",
        title=f"{len(replies)} seeds at {endpoint} give one text; correct draws agree so with probability below 1e-9",
        about=endpoint,
    )
