"""What the fields of a request are called: sampling parameters by all their names, and the fields that are none."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from typing import Any

from samplerfuzz.core.dialects import DIALECTS
from samplerfuzz.core.registry import Technique, parameter_owners

# as servers call them on the wire, where their engine's own source says otherwise
_ON_THE_WIRE: Mapping[str, str] = {
    "repeat_penalty": "repetition_penalty",
    "repeat_last_n": "penalty_last_n",
    "mirostat_mode": "mirostat",
    "min_keep": "min_tokens_to_keep",
    "tfs": "tfs_z",
}
# of the engines whose requests are known word by word: what they call a parameter otherwise than the registry
_WORDS: Mapping[str, Mapping[str, str]] = {
    "llama.cpp": {"repetition_penalty": "repeat_penalty", "penalty_last_n": "repeat_last_n"},
    "mlx-lm": {"penalty_last_n": "repetition_context_size"},
    "sglang": {},
    "vllm": {},
}
_SHORTEST = 3  # one letter is a name inside a library, not in a request

# fields of the requests of OpenAI, vLLM, SGLang and llama.cpp that are no sampling parameters
OTHER_FIELDS = frozenset(
    "add_generation_prompt add_special_tokens audio backend background bad_words best_of cache_prompt cache_salt chat_template "
    "chat_template_kwargs continue_final_message conversation custom_params detokenize documents ebnf ec_transfer_params echo "
    "enable_response_messages function_call functions grammar grammar_lazy grammar_triggers guided_choice guided_decoding_backend "
    "guided_grammar guided_json guided_regex guided_whitespace_pattern id_slot ignore_eos image_data include include_reasoning "
    "include_stop_str_in_output input input_extra input_prefix input_suffix instructions json_schema kv_transfer_params "
    "length_penalty logits_processors logprob_token_ids logprobs lora lora_path max_completion_tokens max_output_tokens max_tokens "
    "max_tool_calls media_io_kwargs messages metadata min_tokens mm_payload mm_processor_kwargs modalities model moderation n "
    "n_cmpl n_discard n_indent n_keep n_predict n_probs no_stop_trim nonce parallel_tool_calls parse_tool_calls "
    "post_sampling_probs prediction preserved_tokens previous_input_messages previous_response_id priority prompt prompt_cache_key "
    "prompt_cache_retention prompt_embeds prompt_logprobs reasoning reasoning_effort reasoning_format reasoning_in_content regex "
    "repetition_detection request_id response_fields response_format return_hidden_states return_logprob return_mm_kwargs "
    "return_progress return_prompt_text return_token_ids return_token_offsets return_tokens return_tokens_as_token_ids rid "
    "routed_experts_prompt_start safety_identifier samplers seed separate_reasoning service_tier session_id skip_special_tokens "
    "spaces_between_special_tokens speculative.n_max speculative.n_min speculative.p_min stop stop_token_ids store stream "
    "stream_interval stream_options stream_reasoning structured_outputs suffix t_max_predict_ms t_max_prompt_ms text "
    "thinking_forced_open thinking_token_budget timings_per_token tool_choice tools top_logprobs top_logprobs_num "
    "truncate_prompt_tokens truncation truncation_side use_beam_search user verbosity vllm_xargs watermarking web_search_options".split()
)


@cache
def owners() -> Mapping[str, tuple[Technique, ...]]:
    """Map every parameter to the techniques that read it; made once, since a guard asks for each field of each request."""
    return parameter_owners()


@cache
def aliases() -> Mapping[str, str]:
    """Map every other name that an engine has for a parameter to the registry's.

    >>> aliases()["repeat_penalty"], aliases()["temp"]
    ('repetition_penalty', 'temperature')
    """
    table = dict(_ON_THE_WIRE)
    for dialect in DIALECTS.values():
        for name, rule in dialect.rules.items():
            for called in rule.called.split(", "):
                if len(called) >= _SHORTEST and name in owners() and called not in owners():
                    table.setdefault(called, name)
    return table


def canonical(name: Any) -> str | None:
    """Return the registry's name of a field, or None where it is no sampling parameter."""
    if not isinstance(name, str):
        return None
    return name if name in owners() else aliases().get(name)


def speaks_as_written(dialect: str | None) -> bool:
    """Whether it is known what an engine calls every parameter in a request."""
    return dialect in _WORDS


def wire_name(dialect: str | None, name: str) -> str:
    """Return what a request to an engine calls the parameter `name`; another name is one that it does not read.

    >>> wire_name("llama.cpp", "repetition_penalty"), wire_name("vllm", "repetition_penalty")
    ('repeat_penalty', 'repetition_penalty')
    """
    return _WORDS.get(dialect or "", {}).get(name, name)


def is_other_field(name: Any) -> bool:
    """Whether a field of a request is known to be no sampling parameter."""
    return isinstance(name, str) and name in OTHER_FIELDS


def nearest(name: Any) -> str | None:
    """Return the known name most like `name`, or None."""
    if not isinstance(name, str) or len(name) > 64:
        return None
    close = difflib.get_close_matches(name.strip().lower(), [*owners(), *aliases(), *OTHER_FIELDS], n=1, cutoff=0.75)
    return close[0] if close else None
