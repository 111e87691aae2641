"""The hook inside the real `generate`: a small LLaMA with random weights, sampled by transformers itself."""

import numpy as np
import pytest

from samplerfuzz.safety.hooks.callback import TokenMonitor

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]
SAMPLING = {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.9}


@pytest.fixture(scope="module")
def model(transformers):
    import torch

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    made = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        made.lm_head.weight.mul_(40)  # rows as uneven as a trained model's
    return made


def watched(model, transformers, declared, *, rows=8, steps=60, **changes):
    import torch

    from samplerfuzz.safety.hooks.transformers import MonitorProcessor, declared_from

    config = transformers.GenerationConfig(**{**SAMPLING, **declared}, max_new_tokens=steps, eos_token_id=2, pad_token_id=0)
    watch = MonitorProcessor(TokenMonitor(declared_from(config)), eos_token_ids=[2])
    for name, value in changes.items():
        setattr(config, name, value)
    prompt = torch.arange(3, 3 + 4 * rows).reshape(rows, 4) % 300
    result = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), generation_config=config, logits_processor=transformers.LogitsProcessorList([watch]),
        return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    watch.finish(result.sequences, result.scores)
    return watch, result


def test_every_token_until_the_end_is_watched_and_nothing_is_wrong(model, transformers):
    watch, result = watched(model, transformers, {})
    emitted = result.sequences[:, 4:].numpy()
    expected = sum(int((row == 2).argmax()) + 1 if (row == 2).any() else len(row) for row in emitted)
    told = watch.describe()
    assert watch.monitor.steps == told["kept_after"]["count"] == expected > 100
    assert (told["alarms"], told["wrongly_kept"], told["wrongly_removed"]) == ([], 0, 0)
    assert told["statistics"]["kept"]["mean"] == pytest.approx(told["kept_after"]["mean"], rel=0.05)


def test_a_temperature_that_is_not_the_declared_one_is_told(model, transformers):
    watch, _ = watched(model, transformers, {"top_k": 0, "top_p": 1.0}, steps=100, rows=16, temperature=1.4)
    assert "surprisal" in watch.monitor.alarms
    low, high = watch.monitor.temperature.interval
    assert low < 1.4 / 0.7
    assert high is None or high > 1.4 / 0.7


def test_a_filter_that_is_left_out_is_told_by_tokens_and_by_scores(model, transformers):
    watch, _ = watched(model, transformers, {}, top_k=0, top_p=1.0)
    assert "kept set" in watch.monitor.alarms
    assert watch.wrongly_kept > 100


def test_the_scores_go_on_as_they_came(model, transformers):
    import torch

    from samplerfuzz.safety.hooks.transformers import MonitorProcessor

    scores = torch.randn(2, 300)
    watch = MonitorProcessor(TokenMonitor())
    assert watch(torch.zeros(2, 5, dtype=torch.long), scores) is scores
    assert np.isfinite(scores.numpy()).all()
