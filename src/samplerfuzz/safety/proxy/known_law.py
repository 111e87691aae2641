"""Of which requests the law of each token is known, and by what: told by the server, or declared by the request. Where anything is left open, nothing is known.

Fields are named that leave the law alone; every other one closes the request to the monitors, and so does every stage that might be at work and is not said to be neutral.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from samplerfuzz.core.dialects import Dialect, find_dialect
from samplerfuzz.core.registry import TECHNIQUES, Technique, parameter
from samplerfuzz.safety.combinations import switch_of
from samplerfuzz.safety.names import canonical, speaks_as_written, wire_name
from samplerfuzz.safety.policy import AFTER_FILTERS, RAW, UNKNOWN, Policy
from samplerfuzz.safety.proxy.watching import LARGEST
from samplerfuzz.safety.values import as_number

MOST_POSITIONS = 2048  # of one text
_COOLEST, _HOTTEST = 0.05, 100.0  # engines take less for greedy, or for something else
_BYTES = 256  # of one listed token, at most: what an answer may come to is known before it is drawn
RANDOM_SEEDS = (None, -1, 2**32 - 1)  # llama.cpp's words for another one each time
_RANDOM: Mapping[str, tuple[int, ...]] = {"llama.cpp": (-1, 2**32 - 1), "vllm": (-1,)}
# nothing among it changes which token is drawn, or which is told
_HARMLESS = frozenset(
    "add_generation_prompt add_special_tokens cache_prompt cache_salt chat_template chat_template_kwargs continue_final_message "
    "conversation id_slot image_data input_prefix input_suffix length_penalty logprobs max_completion_tokens max_tokens messages "
    "metadata model n_discard n_keep n_predict n_probs post_sampling_probs priority prompt prompt_cache_key prompt_cache_retention "
    "request_id return_progress return_token_ids return_tokens rid safety_identifier service_tier session_id skip_special_tokens "
    "spaces_between_special_tokens store stream stream_interval stream_options suffix temperature timings_per_token top_logprobs "
    "top_logprobs_num truncate_prompt_tokens truncation_side user".split()
)
# these leave the law alone where they are not given, or so
_ONLY_AS: Mapping[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "n_cmpl": (None, 1),
    "best_of": (None, 1),
    "stop": (None, [], ""),
    "echo": (None, False),
    "tools": (None, []),
    "response_format": (None, {"type": "text"}),
    "samplers": (None,),
    "ignore_eos": (None, False),
    "min_tokens": (None, 0),
    "stop_token_ids": (None, []),
    "bad_words": (None, []),
    "tool_choice": (None, "none"),
    "use_beam_search": (None, False),
    "watermarking": (None, False),
    "include_stop_str_in_output": (None, False),
    "return_tokens_as_token_ids": (None, False),
}
_REASONS = {"stop": "stop", "echo": "echo", "n": "several", "n_cmpl": "several", "best_of": "several"}


@dataclass(frozen=True, kw_only=True)
class KnownLaw:
    """What is known of the law of every token of an answer.

    Attributes:
      listed: how many tokens a position were asked for.
      temperature: by which told log-probabilities are to be divided; None: they are not known to be anything, for `reason`.
      reason: one word.
      after_chain: whether probabilities after llama.cpp's chain were asked for: they are the law.
    """

    listed: int
    temperature: float | None
    reason: str = ""
    after_chain: bool = False


def known_law(shape: str, data: Mapping[str, Any], policy: Policy, *, added: int = 0) -> KnownLaw | str:
    """Return what is known of the answer to a request, or in one word why nothing is.

    Args:
      shape: of the endpoint.
      data: the request as it is sent on.
      policy: says what log-probabilities are, and which engine is behind.
      added: how many log-probabilities a position the guard itself asks for.
    """
    listed = added or _listed(shape, data)
    if listed < 2:
        return "not_told"
    engine = "llama.cpp" if shape == "llama.cpp" else policy.dialect or ""
    wrong = _closing_field(data) or _seed(data.get("seed"), engine) or _endless(data, listed)
    if wrong:
        return wrong
    temperature = None if data.get("temperature") is None else as_number(data["temperature"])
    if temperature is not None and not _COOLEST <= temperature <= _HOTTEST:
        return "temperature"
    told, reason = _told_temperature(data, policy, None if temperature is None else float(temperature))
    after_chain = data.get("post_sampling_probs") is True
    return KnownLaw(listed=listed, temperature=told, reason=reason, after_chain=after_chain) if after_chain or told is not None else reason


def _listed(shape: str, data: Mapping[str, Any]) -> int:
    count = data.get("top_logprobs" if shape == "chat" else "logprobs" if shape == "completions" else "n_probs")
    return count if type(count) is int else 0


def _closing_field(data: Mapping[str, Any]) -> str:
    """Return why the fields of a request leave the law open; an empty text where they do not."""
    for called, value in data.items():
        name = canonical(called)
        if called in _ONLY_AS:
            if not any(value == given and type(value) is type(given) for given in _ONLY_AS[called]):
                return _REASONS.get(called, "constrained")
        elif called not in _HARMLESS and called != "seed" and name is None and value is not None:
            return "field"
        elif called != "temperature" and name == "temperature":
            return "temperature"
    return ""


def _seed(seed: Any, engine: str) -> str:
    return "" if seed is None or (type(seed) is int and seed in _RANDOM.get(engine, ())) else "seed"


def _endless(data: Mapping[str, Any], listed: int) -> str:
    """Return why an answer might be too large to be read: which of them are must not depend on what is drawn."""
    if data.get("stream") is True:  # what there was room for is read
        return ""
    given = [data[name] for name in ("max_tokens", "max_completion_tokens", "n_predict") if data.get(name) is not None]
    counts = [count for count in given if type(count) is int and count >= 0]
    return "" if counts and len(counts) == len(given) and max(counts) * (listed + 2) * _BYTES <= LARGEST else "length"


def _told_temperature(data: Mapping[str, Any], policy: Policy, temperature: float | None) -> tuple[float | None, str]:
    if policy.logprobs_are == AFTER_FILTERS:
        return 1.0, ""
    if policy.logprobs_are == UNKNOWN:
        return None, "meaning"
    if temperature is None:
        return None, "temperature"
    if not speaks_as_written(policy.dialect):
        return None, "engine"
    dialect = find_dialect(str(policy.dialect))
    # every stage that the engine has has to be said to do nothing: what it does where nothing is said is for whoever started it to choose
    stages = [item for item in TECHNIQUES.values() if item.name != "temperature" and switch_of(item) in dialect.rules]
    if not all(_is_neutral(item, data, dialect) for item in stages):
        return None, "filters"
    return (temperature if policy.logprobs_are == RAW else 1.0), ""


def _is_neutral(item: Technique, data: Mapping[str, Any], dialect: Dialect) -> bool:
    """Whether a request says, in the engine's own words, that a stage does nothing; a collection of tokens that is not given is empty."""
    name = switch_of(item)
    given = {called: value for called, value in data.items() if canonical(called) == name and value is not None}
    if not parameter(name).is_number:
        return not any(given.values())
    number = as_number(next(iter(given.values()), None))
    if list(given) != [wire_name(dialect.name, name)] or number is None or abs(number) > 1e300:
        return False
    return float(dialect.rules[name].settled(name, np.float64(number))) == parameter(name).neutral
