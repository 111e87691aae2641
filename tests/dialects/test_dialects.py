"""The data of every dialect is sound, and what becomes of the values of a parameter."""

import numpy as np
import pytest

from samplerfuzz.core.dialects import DIALECTS, ENGINES, find_dialect
from samplerfuzz.core.errors import ParameterError, UsageError
from samplerfuzz.core.intervals import contains, intervals
from samplerfuzz.core.registry import TECHNIQUES, parameter, parameter_owners
from samplerfuzz.oracle.conventions import conventions_of


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
def test_a_dialect_names_stages_parameters_and_conventions_that_exist(dialect):
    assert len(set(dialect.order)) == len(dialect.order)
    assert set(dialect.order) <= set(TECHNIQUES)
    assert set(dialect.rules) <= set(parameter_owners())
    owned = {p.name for stage in dialect.order for p in TECHNIQUES[stage].parameters}
    assert {name for name in dialect.rules if name in parameter_owners()} <= owned
    assert set(dialect.habits) <= set(dialect.conventions), "a habit goes beyond a convention"
    for key, value in dialect.behaviour.items():
        stage, _, name = key.partition(".")
        assert stage in dialect.order
        known = {item.name: item.values for item in conventions_of(stage)}
        assert value in known[name], key


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda d: d.name)
def test_a_sentinel_is_taken_and_common_values_are_too(dialect):
    for name in dialect.known():
        rule, item = dialect.rules[name], parameter(name)
        for text in (rule.off, *(where for where, _ in rule.becomes)):
            for part in intervals(text):
                middle = np.mean([np.clip(float(end), -1e9, 1e9) for end in (part.low, part.high)])
                assert contains(rule.takes, middle), (name, text)
        if item.neutral is not None and rule.off:
            assert contains(rule.off, item.neutral) or not contains(rule.takes, item.neutral)
        if item.kind in ("real", "integer"):
            low, high = item.common
            assert contains(rule.takes, (3 * low + min(high, low + 1)) / 4) or item.kind == "integer"


# what a sentinel, a floor or a refusal decides before a convention could, or what only declared policies do
DECIDED = {"nothing", "above_one", "zero", "negative", "greedy"}
# the tail of zeros counts what was masked before the first cut, and not what was cut: neither value is the engines' way
LEFT_OPEN = {"tfs_z.masked"}
# koboldcpp keeps the sums of adaptive-p from one request to the next
LEFT_OPEN |= {"adaptive_p.start"}


def test_an_engine_leaves_no_convention_of_its_stages_open():
    for dialect in ENGINES:
        for stage in dialect.order:
            for item in conventions_of(stage):
                key = f"{stage}.{item.name}"
                if item.chance is None and item.name not in DECIDED and key not in LEFT_OPEN:
                    assert key in dialect.conventions, f"{dialect.name} leaves {key} open"


@pytest.mark.parametrize(
    ("engine", "name", "value", "acts_as"),
    [
        ("transformers", "top_k", 0, 0),
        ("transformers", "top_p", 1.5, 1),
        ("vllm", "top_k", -1, 0),
        ("vllm", "temperature", 0.001, 0.01),
        ("vllm", "temperature", 0.0, 0.0),
        ("vllm", "temperature", 0.01, 0.01),
        ("sglang", "temperature", 5e-7, 0.0),
        ("sglang", "top_k", -1, 0),
        ("llama.cpp", "temperature", -3.0, 0.0),
        ("llama.cpp", "penalty_last_n", -1, 0),
        ("llama.cpp", "xtc_threshold", 0.6, 1.0),
        ("llama.cpp", "xtc_threshold", 0.5, 0.5),
        ("llama.cpp", "xtc_threshold", 0.5 + 2**-25, 0.5 + 2**-25),
        ("llama.cpp", "xtc_threshold", 1e39, 1.0),
        ("llama.cpp", "adaptive_target", -1e-50, -1e-50),
        ("mlx-lm", "top_p", 0.0, 1.0),
        ("mlx-lm", "repetition_penalty", 0.0, 1.0),
        ("mlx-lm", "temperature", -3.0, -3.0),
    ],
)
def test_what_an_engine_makes_of_a_value(engine, name, value, acts_as):
    settled = find_dialect(engine).rules[name].settled(name, value)
    assert settled == acts_as
    assert np.shape(settled) == ()


def test_rows_are_settled_one_by_one():
    settled = find_dialect("vllm").settled({"temperature": np.array([0.0, 0.005, 1.0]), "top_k": np.array([-1, 3, 0])})
    assert settled["temperature"].tolist() == [0.0, 0.01, 1.0]
    assert settled["top_k"].tolist() == [0, 3, 0]


def test_a_value_stays_what_it_is_where_a_rule_says_unless():
    settled = find_dialect("llama.cpp").settled({"temperature": np.array([-1.0, -1.0, 0.5]), "dynatemp_range": np.array([0.0, 2.0, 2.0])})
    assert settled["temperature"].tolist() == [0.0, -1.0, 0.5]


def test_policies_follow_from_the_rules_of_temperature():
    policies = {item.name: (item.negative_temperature, item.zero_temperature) for item in DIALECTS.values()}
    assert policies == {
        "transformers": ("reject", "reject"),
        "vllm": ("reject", "greedy"),
        "sglang": ("reject", "greedy"),
        "llama.cpp": ("greedy", "greedy"),
        "mlx-lm": ("invert", "greedy"),
        "keras-hub": ("invert", "reject"),
        "gemma": ("invert", "reject"),
        "x-transformers": ("invert", "greedy"),
        "koboldcpp": ("greedy", "greedy"),
        "samplerfuzz": ("invert", "greedy"),
    }


@pytest.mark.parametrize(
    ("engine", "given", "words"),
    [
        ("vllm", {"temperature": 3.0}, r"temperature=3.0 is refused by vllm 0.33.0; it takes \[0, 2\]; .*explain dialect vllm"),
        ("vllm", {"top_p": np.array([0.5, 0.0])}, r"top_p=0.0 is refused .*\(0, 1\]"),
        ("vllm", {"typical_p": 0.5}, r"vllm 0.33.0 has no parameter 'typical_p'; it has .*min_p"),
        ("mlx-lm", {"top_k": 4}, r"top_k=4 .*\(-inf, V\), V = 4"),
        ("llama.cpp", {"temperature": float("nan")}, "temperature=nan is refused"),
        ("gemma", {"top_k": 2, "temperature": 0.0}, "temperature=0.0 is refused"),
    ],
)
def test_what_an_engine_does_not_take_is_refused_in_words(engine, given, words):
    with pytest.raises(ParameterError, match=words):
        find_dialect(engine).checked(given, 4)


def test_companions_have_the_default_of_the_engine():
    assert find_dialect("mlx-lm").checked({"presence_penalty": 1.0})["penalty_last_n"] == 20
    assert find_dialect("llama.cpp").checked({"xtc_threshold": 0.2})["xtc_probability"] == 0
    assert "penalty_last_n" not in find_dialect("llama.cpp").checked({"top_k": 3})


def test_an_unknown_dialect_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"dialect='llama': expected one of .*llama\.cpp"):
        find_dialect("llama")


@pytest.mark.parametrize("text", ["(0, one)", "nothing", "[1, 2"])
def test_a_set_that_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError, match="expected a number"):
        intervals(text)
