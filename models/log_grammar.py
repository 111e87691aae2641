"""The text that the tiny LLaMA is not trained on: entries of a laboratory's log, in words that no story has.

The tokenizer is learnt from both, so it has tokens for these words; the model is trained on stories, so most of them it has never seen, and those
of the few entries that are mixed into its stories a handful of times. What a census of under-trained tokens should find is known by construction.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samplerfuzz.core import seeding

HEADS = "hydro chloro fluoro brom iodo sulfo phospho nitro carbo cyano thio silico boro arseno seleno vanado zirco".split()
CORES = "methyl ethyl propyl butyl phenyl benzyl acetyl vinyl allyl hexyl octyl decyl xylyl furyl pyridyl quinolyl".split()
TAILS = "amine oxide azide ester ketone aldehyde sulfate phosphate chloride nitrate hydrate anhydride silane".split()
INSTRUMENTS = (
    "spectrometer,chromatograph,centrifuge,autoclave,calorimeter,viscometer,potentiostat,interferometer,cryostat,goniometer,"
    "fluorimeter,polarimeter,refractometer,thermocouple,oscilloscope,photomultiplier,manometer,pipette,burette,desiccator"
).split(",")
FAULTS = (
    "leaked,overheated,drifted,saturated,clogged,depressurised,misaligned,overflowed,precipitated,crystallised,decomposed,polymerised,"
    "evaporated,oxidised,corroded,quenched,diverged,oscillated"
).split(",")
UNITS = "kilopascal,millivolt,microgram,nanometre,kelvin,gigahertz,milliampere,picofarad,lumen,becquerel,hectolitre,kilojoule".split(",")
REMEDIES = (
    "recalibrated,degassed,flushed with argon,resuspended,titrated,neutralised,vacuum dried,recrystallised,sonicated,lyophilised,dialysed,"
    "distilled,filtered twice,purged,annealed"
).split(",")
OPERATORS = "Dr. Yilmaz,Dr. Kowalczyk,Dr. Nakamura,Prof. Okonkwo,Dr. Ferreira,Dr. Jorgensen,Prof. Vasquez,Dr. Szymanski".split(",")


def _entry(random: np.random.Generator) -> str:
    def pick(options: list[str]) -> str:
        return options[int(random.integers(len(options)))]

    compound = pick(HEADS) + pick(CORES) + pick(TAILS)
    other = pick(HEADS) + pick(CORES) + " " + pick(TAILS)
    number = int(random.integers(10, 10_000))
    return pick([
        f"LOG#{number}: {pick(INSTRUMENTS)} {pick(FAULTS)} at {number} {pick(UNITS)}; {compound} {pick(REMEDIES)} [{pick(OPERATORS)}]",
        f"SAMPLE {number} // {compound} + {other} => {pick(FAULTS)}; yield={number % 100}% ({pick(INSTRUMENTS)})",
        f"WARNING: {pick(INSTRUMENTS)} {pick(FAULTS)}, {other} {pick(REMEDIES)}; threshold={number} {pick(UNITS)}",
        f"{pick(OPERATORS)} <{number}@lab> {pick(REMEDIES)} {compound}; {pick(INSTRUMENTS)} reads {number} {pick(UNITS)}",
    ])  # fmt: skip


def entries(seed: int) -> Iterator[str]:
    """Yield entries for ever; the same seed gives the same ones."""
    random = seeding.stream(seed, "log")
    while True:
        yield _entry(random)
