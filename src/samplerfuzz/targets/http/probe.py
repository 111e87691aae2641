"""What a server can do, measured and not believed: endpoints, parameters, and what its log-probabilities mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.http.client import Client
from samplerfuzz.targets.http.exchange import Reply, Request
from samplerfuzz.targets.http.returned import Listed, listed

COMPLETION, OPENAI, CHAT = "/completion", "/v1/completions", "/v1/chat/completions"
PROMPT = "The sky is"
# what is sent is said: a default of the server is a parameter that nobody tests
NEUTRAL: Mapping[str, Mapping[str, Any]] = {
    COMPLETION: {
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "typical_p": 1.0,
        "top_n_sigma": -1.0,
        "xtc_probability": 0.0,
        "xtc_threshold": 0.1,
        "dynatemp_range": 0.0,
        "dynatemp_exponent": 1.0,
        "mirostat": 0,
        "mirostat_tau": 5.0,
        "mirostat_eta": 0.1,
        "repeat_penalty": 1.0,
        "repeat_last_n": 64,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "dry_multiplier": 0.0,
        "dry_base": 1.75,
        "dry_allowed_length": 2,
        "dry_penalty_last_n": 64,
        "adaptive_target": -1.0,
        "adaptive_decay": 0.9,
        "logit_bias": [],
    },
    OPENAI: {"temperature": 1.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0},
    CHAT: {"temperature": 1.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0},
}
NOTHING: Mapping[str, Any] = MappingProxyType({})
_OWNERS = {"llamacpp": "llama.cpp", "vllm": "vllm", "sglang": "sglang"}
_SWITCHES = ("backend_sampling",)
_MORE_TRIES = 5
_BEYOND = {"top_k": 1, "min_p": 0.5, "repetition_penalty": 1.0, "seed": 1, "logit_bias": {}}  # of OpenAI's, what many servers take too


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What was measured.

    Attributes:
      endpoints: path -> status of an ordinary request.
      parameters: endpoint that completes -> the parameters that it does not refuse.
      model: the name to send as `model`, where there is one.
      owner: who the server says that this model is owned by, which engines fill with their name.
      meaning: endpoint -> what its log-probabilities are: "raw", "after the temperature", "after the filters", "none" or "unclear".
      survivors: whether `post_sampling_probs` tells what the filters leave.
      switches: fields that choose another implementation of the chain, where an answer says that they are on.
      settings: the names of the settings that an answer says it was made with.
    """

    endpoints: dict[str, int]
    parameters: dict[str, tuple[str, ...]]
    model: str | None
    owner: str | None = None
    meaning: dict[str, str] = field(default_factory=dict)
    survivors: bool = False
    settings: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()

    @property
    def engine(self) -> str | None:
        """The dialect of the engine behind, where the server says what it is."""
        return "llama.cpp" if self.settings else _OWNERS.get(self.owner or "")

    def body(self, endpoint: str, fields: Mapping[str, Any] = NOTHING, *, prompt: Any = PROMPT) -> dict[str, Any]:
        """Return the fields of a request that completes `prompt`, every parameter that is taken neutral but those given."""
        taken = {name: value for name, value in NEUTRAL[endpoint].items() if name in self.parameters[endpoint]}
        return {**_asked(endpoint, self.model, prompt), **taken, **fields}

    def reads(self, endpoint: str, name: str) -> bool:
        """Whether a parameter is one of the endpoint's interface: what a server does not know it may fairly ignore."""
        if name not in self.parameters[endpoint]:
            return False
        return name in self.settings if endpoint == COMPLETION and self.settings else name == "seed" or name in NEUTRAL[endpoint]

    def table(self) -> list[tuple[str, str]]:
        """Return (what, finding) for people."""
        rows = [(path, str(status) if status else "no answer") for path, status in self.endpoints.items()]
        for endpoint, names in self.parameters.items():
            rows.append((f"{endpoint} takes", ", ".join(names)))
            rows.append((f"{endpoint} log-probabilities", self.meaning[endpoint]))
        rows.append(("survivors of the filters", "post_sampling_probs" if self.survivors else "not told"))
        rows.append(("settings echoed", "yes" if self.settings else "no"))
        rows.append(("other implementations", ", ".join(self.switches) or "none"))
        return rows


def _asked(endpoint: str, model: str | None, prompt: Any) -> dict[str, Any]:
    named = {} if model is None else {"model": model}
    if endpoint == CHAT:
        return {**named, "messages": [{"role": "user", "content": prompt}], "max_tokens": 1}
    if endpoint == OPENAI:
        return {**named, "prompt": prompt, "max_tokens": 1}
    # a row must not depend on what was asked before: a cached prompt is computed in other batches
    return {"prompt": prompt, "n_predict": 1, "cache_prompt": False}


def probe(client: Client) -> Capabilities:
    """Ask a server what it can do.

    Raises:
      UsageError: nothing listens, or nothing there completes a prompt.
    """
    first = client.send(Request(path="/v1/models"))
    if first.kind != "answered":
        raise UsageError(f"{client.url} does not answer ({first.text}); start the server, or name the URL it listens on")
    model, owner = _model(first, "id"), _model(first, "owned_by")
    endpoints = {"/v1/models": first.status}
    for path in ("/health", "/props"):
        endpoints[path] = client.send(Request(path=path)).status
    parameters: dict[str, tuple[str, ...]] = {}
    meaning: dict[str, str] = {}
    settings: tuple[str, ...] = ()
    for path in (COMPLETION, OPENAI, CHAT):
        plain = {**_asked(path, model, PROMPT)}
        reply = _patiently(client, Request.of(path, plain))
        endpoints[path] = reply.status
        if not reply.accepted or not isinstance(reply.data, dict):
            continue
        if path == COMPLETION and isinstance(reply.data.get("generation_settings"), dict):
            settings = tuple(reply.data["generation_settings"])
        asked = {**NEUTRAL[path], **({} if path == COMPLETION else _BEYOND), "seed": 1}
        parameters[path] = tuple(name for name, value in asked.items() if client.send(Request.of(path, {**plain, name: value})).accepted)
        taken = {name: value for name, value in NEUTRAL[path].items() if name in parameters[path]}
        meaning[path] = _meaning(client, path, {**plain, **taken}, parameters[path])
    if not parameters:
        raise UsageError(
            f"{client.url} completes no prompt: "
            + ", ".join(f"{path} {status or 'no answer'}" for path, status in endpoints.items())
            + "; name an OpenAI-compatible or llama.cpp server"
        )
    survivors, switches = False, tuple[str, ...]()
    if COMPLETION in parameters:
        taken = {name: value for name, value in NEUTRAL[COMPLETION].items() if name in parameters[COMPLETION]}
        plain = _asked(COMPLETION, model, PROMPT)
        switches = tuple(name for name in _SWITCHES if _is_on(client, name, plain))
        survivors = _tells_survivors(client, {**_asked(COMPLETION, model, PROMPT), **taken})
    return Capabilities(
        endpoints=endpoints,
        parameters=parameters,
        model=model,
        owner=owner,
        meaning=meaning,
        survivors=survivors,
        settings=settings,
        switches=switches,
    )


def _model(reply: Reply, name: str) -> str | None:
    data = reply.data if reply.accepted else None
    models = data.get("data") if isinstance(data, dict) else None
    if isinstance(models, list) and models and isinstance(models[0], dict) and isinstance(models[0].get(name), str):
        return str(models[0][name])
    return None


def probabilities_asked(endpoint: str, count: int) -> dict[str, Any]:
    """Return the fields that ask for the `count` most probable tokens."""
    if endpoint == CHAT:
        return {"logprobs": True, "top_logprobs": count}
    return {"logprobs": count} if endpoint == OPENAI else {"n_probs": count}


def _meaning(client: Client, endpoint: str, body: dict[str, Any], taken: tuple[str, ...]) -> str:
    """Measure what the log-probabilities of an endpoint are: how they answer to a temperature and to a filter."""
    asked = {**body, **probabilities_asked(endpoint, 5)}
    plain = _answer(client, endpoint, asked)
    if plain is None:
        return "none"
    hot = _answer(client, endpoint, {**asked, "temperature": 2.0})
    cut = _answer(client, endpoint, {**asked, "top_k": 1} if "top_k" in taken else {**asked, "top_p": 1e-6})
    if hot is None or cut is None:
        return "unclear"
    scaled = not _alike(plain, hot)
    filtered = len([p for p in cut.logprobs if p > -50]) == 1 and len(plain.logprobs) > 1
    if filtered:
        return "after the filters"
    return "after the temperature" if scaled else "raw"


def _answer(client: Client, endpoint: str, body: dict[str, Any]) -> Listed | None:
    reply = _patiently(client, Request.of(endpoint, body))
    return listed(reply.data) if reply.accepted else None


def _patiently(client: Client, request: Request) -> Reply:
    """Ask again while nothing comes: what a server is asked for the first time may have to be compiled."""
    reply = client.send(request)
    for _ in range(_MORE_TRIES):
        if reply.kind != "hang":
            break
        reply = client.send(request)
    return reply


def _alike(a: Listed, b: Listed) -> bool:
    ours, theirs = dict(zip(a.names, a.logprobs)), dict(zip(b.names, b.logprobs))
    common = ours.keys() & theirs.keys()
    return bool(common) and all(math.isclose(ours[n], theirs[n], abs_tol=0.02) for n in common)


def _is_on(client: Client, name: str, body: dict[str, Any]) -> bool:
    reply = client.send(Request.of(COMPLETION, {**body, name: True}))
    settings = reply.data.get("generation_settings") if reply.accepted and isinstance(reply.data, dict) else None
    return isinstance(settings, dict) and settings.get(name) is True


def _tells_survivors(client: Client, body: dict[str, Any]) -> bool:
    """Whether the probabilities after sampling are those of two tokens that add up to one where two are kept."""
    asked = {**body, "top_k": 2, "n_probs": 8, "post_sampling_probs": True}
    answer = _answer(client, COMPLETION, asked)
    return answer is not None and 1 <= len(answer.logprobs) <= 8 and abs(sum(math.exp(p) for p in answer.logprobs) - 1) < 1e-3
