"""The temperature atlas of a model: what the row after a prompt becomes at every inverse temperature, and what every technique keeps of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from samplerfuzz import samplers
from samplerfuzz.llama.decoding import generate
from samplerfuzz.llama.forward import prefill
from samplerfuzz.llama.model import LlamaModel
from samplerfuzz.llama.prompts import pad_prompts
from samplerfuzz.probe.exact import Tempered, tempered
from samplerfuzz.probe.kept import Kept, kept_of
from samplerfuzz.probe.laws import Law, check_laws
from samplerfuzz.probe.reached import reached

_INNER = np.geomspace(1e-2, 1e3, 51)
BETAS = np.array([-np.inf, *-_INNER[::-1], 0.0, *_INNER, np.inf])
_SHOWN, _PROMPTS = 8, 8


@dataclass(frozen=True, kw_only=True)
class Row:
    """The row after one prompt.

    Attributes:
      prompt: token ids.
      exact: the row at `BETAS`, in float64.
      top, bottom: ids of the largest and smallest logits, best first, and their logits.
      margin: the smallest but one minus the smallest logit.
      ulp: distance of float32 numbers at the smallest logit: a margin of a few is decided by rounding.
      kept: of each technique that filters.
      laws: held against the samplers.
    """

    prompt: list[int]
    exact: Tempered
    top: list[tuple[int, float]]
    bottom: list[tuple[int, float]]
    margin: float
    ulp: float
    kept: list[Kept]
    laws: list[Law]


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """Rows after prompts, and texts: temperature -> the ids that continue each prompt."""

    rows: list[Row]
    texts: dict[float, list[list[int]]] = field(default_factory=dict)

    @property
    def broken(self) -> list[tuple[int, Law]]:
        """The laws that do not hold, each with the number of the row."""
        return [(index, law) for index, row in enumerate(self.rows) for law in row.laws if not law.holds]


def atlas(
    model: LlamaModel,
    prompts: Sequence[Sequence[int]],
    *,
    temperatures: Sequence[float],
    new_tokens: int,
    seed: int,
    eos_ids: Sequence[int] = (),
    tell: Callable[[str], None] = lambda stage: None,
) -> Atlas:
    """Return the atlas of a model.

    Args:
      prompts: token ids, none empty.
      temperatures: at which each prompt is continued; any real number.
      new_tokens: of each text.
      seed: of the draws.
      tell: hears what is being done.
    """
    tell("the rows after the prompts")
    rows = last_logits(model, prompts)
    mapped = []
    for index, (prompt, logits) in enumerate(zip(prompts, rows, strict=True)):
        tell(f"every temperature, prompt {index + 1} of {len(prompts)}")
        mapped.append(row_of(list(prompt), logits))
    texts = {}
    for temperature in temperatures:
        tell(f"texts at T = {temperature:g}")
        made = generate(
            model,
            prompts,
            sample=_sample,
            sampler_params=samplers.chain(samplers.temperature(temperature)),
            key=jax.random.key(seed),
            max_new_tokens=new_tokens,
            eos_ids=eos_ids,
        )
        texts[float(temperature)] = made.rows()
    return Atlas(rows=mapped, texts=texts)


def last_logits(model: LlamaModel, prompts: Sequence[Sequence[int]]) -> np.ndarray:
    """Return float32 [P, V]: the logits after each prompt."""
    found = []
    for begin in range(0, len(prompts), _PROMPTS):
        ids, lengths = pad_prompts([list(prompt) for prompt in prompts[begin : begin + _PROMPTS]])
        found.append(np.asarray(prefill(model, ids, lengths, capacity=ids.shape[1])[0], np.float32))
    return np.concatenate(found)


def row_of(prompt: list[int], logits: np.ndarray) -> Row:
    """Return the atlas of one row of float32 logits [V]; −inf masks."""
    z = np.asarray(logits, np.float32)
    exact = tempered(z, BETAS)
    allowed = np.flatnonzero(z > -np.inf)
    order = allowed[np.argsort(z[allowed], kind="stable")]
    mirrored = np.where(z > -np.inf, -z, z)
    laws = check_laws(z, exact, softened(z, BETAS), softened(mirrored, -BETAS), softened(2 * z, BETAS / 2))
    least = z[order[:2]]
    return Row(
        prompt=prompt,
        exact=exact,
        top=[(int(i), float(z[i])) for i in order[::-1][:_SHOWN]],
        bottom=[(int(i), float(z[i])) for i in order[:_SHOWN]],
        margin=float(least[-1] - least[0]),
        ulp=float(np.spacing(np.abs(least[0]))),
        kept=kept_of(z),
        laws=laws,
    )


def softened(logits: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Return float64 [K, V]: what the JAX temperature stage and a float32 softmax make of the row [V] at T = 1/β."""
    return np.asarray(_soften(*reached(logits, beta)), np.float64)


@jax.jit
def _soften(rows: jax.Array, temperature: jax.Array) -> jax.Array:
    out, _, _ = samplers.chain(samplers.temperature(temperature))(rows, None)
    return jax.nn.softmax(out.astype(jnp.float32), axis=-1)


def _sample(chain: samplers.Chain, key: jax.Array, logits: jax.Array, state: Any) -> tuple[jax.Array, Any, Any]:
    token, _, _ = samplers.sample(key, chain, logits)
    return token, state, ()
