"""The atlas of a row says what temperature does to it, and notices a sampler that does something else."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from samplerfuzz.cli.main import group
from samplerfuzz.probe import atlas as atlas_module
from samplerfuzz.probe.atlas import BETAS, Atlas, row_of, softened
from samplerfuzz.probe.exact import tempered
from samplerfuzz.probe.kept import KEPT_BETAS
from samplerfuzz.probe.laws import check_laws
from samplerfuzz.report.probe.data import atlas_json
from samplerfuzz.report.probe.page import probe_page

LOGITS = np.array([2.0, 0.5, -1.0, -np.inf, 0.5, -3.0], np.float32)
HOSTILE = {0: "<script>alert(1)</script>", 1: "‮abc", 2: "\x1b[31mred"}


def laws(spoil=lambda p: p, mirrored=lambda p: p, scaled=lambda p: p, logits=LOGITS):
    z = np.where(logits > -np.inf, -logits, logits)
    return {
        law.name: law
        for law in check_laws(
            logits,
            tempered(logits, BETAS),
            spoil(softened(logits, BETAS)),
            mirrored(softened(z, -BETAS)),
            scaled(softened(2 * logits, BETAS / 2)),
        )
    }


def test_two_tokens_are_a_coin_of_known_entropy():
    row = tempered(np.array([1.0, 0.0, -np.inf]), np.array([-np.inf, -1.0, 0.0, 1.0, np.inf]))
    p = 1 / (1 + math.exp(-1))
    np.testing.assert_allclose(row.p[:, 0], [0, 1 - p, 0.5, p, 1])
    assert (row.p[:, 2] == 0).all()
    coin = -p * math.log(p) - (1 - p) * math.log(1 - p)
    np.testing.assert_allclose(row.entropy, [0, coin, math.log(2), coin, 0], atol=1e-15)
    np.testing.assert_allclose(row.mean, [0, 1 - p, 0.5, p, 1])
    np.testing.assert_allclose(row.variance, [0, p * (1 - p), 0.25, p * (1 - p), 0])
    np.testing.assert_allclose(row.varentropy, [0, p * (1 - p), 0, p * (1 - p), 0])


def test_ties_at_either_end_share():
    row = tempered(np.array([3.0, 3.0, 1.0, 1.0, 1.0]), np.array([-np.inf, np.inf]))
    np.testing.assert_allclose(row.p, [[0, 0, 1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0, 0, 0]])
    np.testing.assert_allclose(row.entropy, [math.log(3), math.log(2)])


@pytest.mark.parametrize("size", [2, 3, 33, 2000])
@pytest.mark.parametrize("spread", [1e-3, 3.0, 40.0])
def test_the_samplers_keep_every_law(size, spread):
    logits = (np.random.default_rng(size).normal(size=size) * spread).astype(np.float32)
    assert {name: law.worst for name, law in laws(logits=logits).items() if not law.holds} == {}


def test_a_sampler_that_breaks_a_law_is_noticed():
    at = list(BETAS).index(-1.0) if -1.0 in BETAS else int(np.argmin(np.abs(BETAS + 1)))

    def inverted_wrongly(p):
        # T < 0 divides by |T|
        return np.where((BETAS < 0)[:, None], softened(LOGITS, np.abs(BETAS)), p)

    def off(p):
        spoilt = p.copy()
        spoilt[at] = np.roll(spoilt[at], 1)
        return spoilt

    def unmasked(p):
        return np.where(-np.inf == LOGITS, 1e-3, p)

    assert not laws(inverted_wrongly)["p_i = exp(βz_i) / Z, for every β"].holds
    assert not laws(inverted_wrongly)["P(not arg-min) ≤ (N − 1)·exp(−g/|T|) for T < 0"].holds
    assert not laws(inverted_wrongly)["E_β[z] never falls as β grows"].holds
    assert not laws(unmasked)["p_i = exp(βz_i) / Z, for every β"].holds
    assert not laws(mirrored=off)["(−z, −T) is (z, T)"].holds
    assert not laws(scaled=off)["(2z, 2T) is (z, T)"].holds
    assert not laws(lambda p: np.where((np.abs(BETAS) > 5)[:, None], 0.2 * (-np.inf < LOGITS), p))["the entropy falls as |β| grows"].holds
    assert not laws(lambda p: np.sqrt(p) / np.sqrt(p).sum(-1, keepdims=True))["dH/dβ = −β Var_β(z)"].holds
    assert not laws(lambda p: p * np.nan)["the entropy is largest at β = 0"].holds


def test_a_row_names_its_ends_and_what_filters_keep():
    row = row_of([7], LOGITS)
    assert [token for token, _ in row.top][:3] == [0, 4, 1]
    assert [token for token, _ in row.bottom][:2] == [5, 2]
    assert row.margin == 2
    kept = {kept.technique: kept for kept in row.kept}
    positive = np.isfinite(KEPT_BETAS) & (KEPT_BETAS > 0)
    assert kept["top_n_sigma"].same
    assert set(kept["top_n_sigma"].count[positive]) == {3}  # σ = 1.69: what is above 0.31 stays
    assert not kept["top_p"].same
    assert set(kept["top_k"].count[positive]) == {5}
    np.testing.assert_allclose(kept["top_k"].mass, 1)


def test_the_page_shows_every_token_escaped():
    atlas = Atlas(rows=[row_of([0], LOGITS)], texts={-0.001: [[0, 1]]})
    data = atlas_json(atlas, model="<b>", prompts=["<i>prompt</i>"], show=lambda i: HOSTILE.get(i, str(i)), text=lambda ids: HOSTILE[0])
    page = probe_page({"atlas": data})
    assert "<script>alert" not in page
    assert "<i>prompt" not in page
    assert "&lt;script&gt;alert" in page
    assert "all temperatures" not in page
    assert data["laws_hold"]
    json.dumps(data, allow_nan=False)


def test_a_broken_law_is_said_and_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(atlas_module, "softened", lambda logits, beta: softened(logits, np.abs(beta)))
    done = CliRunner().invoke(
        group,
        ["probe", "atlas", "tiny", "--prompt", "Once", "--max-new-tokens", "1", "--temperature", "0", "--report-dir", str(tmp_path)],
        standalone_mode=False,
    )
    assert done.return_value == 1
    assert "BROKEN after prompt 0" in done.output
    assert "a law of temperature is broken" in (tmp_path / "report.html").read_text("utf-8")


def test_the_tiny_model_keeps_the_laws_and_says_so(tmp_path):
    arguments = ["probe", "atlas", "tiny", "--prompt", "Temperature is a concept", "--temperature", "-0.001", "--temperature", "0"]
    done = CliRunner().invoke(group, [*arguments, "--max-new-tokens", "4", "--report-dir", str(tmp_path)], standalone_mode=False)
    assert done.return_value == 0, done.output
    assert "all 8 laws of temperature hold" in done.output
    assert "keep the same tokens at every T > 0: top_n_sigma 1, top_k 50\n" in done.output
    data = json.loads((tmp_path / "atlas.json").read_text("utf-8"))
    row = data["rows"][0]
    assert data["beta"][0] == "-inf"
    assert row["entropy"][len(data["beta"]) // 2] == pytest.approx(max(row["entropy"]))
    assert all(row["kept"]["top_n_sigma"]["same_tokens"] for row in data["rows"])
    assert len(data["texts"]) == 2
    assert "<svg" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--temperature", "nan"], "any real number"),
        (["--prompts", "missing.txt"], "one prompt a line"),
        (["--prompt", "a", "--prompts", "b"], "not both"),
    ],
)
def test_bad_input_is_a_clear_error(arguments, words):
    done = CliRunner().invoke(group, ["probe", "atlas", "tiny", *arguments], standalone_mode=False)
    assert words in str(done.exception)
