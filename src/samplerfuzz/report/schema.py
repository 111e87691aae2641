"""report.json as types. The published JSON Schema is made from these (`report.schema.json`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_FILE = Path(__file__).with_name("report.schema.json")

Exact = float | str
Severity = Literal["low", "medium", "high", "critical"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StepsEntry(_Model):
    """The steps of a stream after its first."""

    logits: list[list[list[Exact]]] = Field(description="S steps of B rows of V float32 values")
    choices: list[list[Exact]] = Field(description="S + 1 steps of B numbers in [0, 1): which token is taken of a distribution")
    u: list[list[Exact]] | None = Field(description="S steps of B uniform draws in [0, 1)")
    replay: str = Field(description="what happens beyond playing the steps once: nothing, reset or clone")


class CaseEntry(_Model):
    """Inputs of one call, every bit kept: a number that is no small integer is a hexadecimal float, or `nan`, `inf`, `-inf`."""

    logits: list[list[Exact]] = Field(description="B rows of V float32 values")
    parameters: dict[str, list[Any]] = Field(description="name -> B values (a bias: B mappings id -> addend; token ids: B lists)")
    history: list[list[int]] | None = Field(description="B rows of token ids")
    prompt_length: list[int] | None
    seeds: list[int] | None
    u: list[Exact] | None = Field(description="B uniform draws in [0, 1)")
    steps: StepsEntry | None = Field(default=None, description="what follows the first step, for a stateful target")
    regime: str = Field(description="how the logits were made")
    strategy: str = Field(description="how the parameters were made")


class FindingEntry(_Model):
    """A confirmed violation on its minimal case."""

    id: str
    check: str = Field(description="the claim that is broken; `samplerfuzz explain CHECK` says more")
    severity: Severity
    target: str
    title: str
    order: list[str] = Field(description="stages in the order applied")
    order_was_assumed: bool
    returns: str
    per_row: bool
    row: int = Field(description="row of the case that it was seen in")
    expected: dict[str, Any]
    observed: dict[str, Any]
    protocol: str = Field(
        description="how to repeat it: call, alone, repeat, after another, relation, seeds, draws, grid, steps, reset, clone, replay or led"
    )
    statistic: dict[str, Exact]
    case: CaseEntry
    seconds: float = Field(description="since the start of the target's campaign")
    cases: int = Field(description="(row, configuration) pairs until then")
    repeats: int
    stateful: bool = Field(default=False, description="whether the target carries a state from step to step")
    version: str = Field(default="", description="of the library that the target belongs to")
    reproducer: str | None = Field(description="path of a program that shows it, relative to the report directory")
    known: str | None = Field(default=None, description="why the baseline accepts it; such a finding does not count for the status")


class TargetEntry(_Model):
    """What was done to one target."""

    target: str
    order: list[str]
    order_was_assumed: bool
    returns: str
    seconds: float
    calls: int
    pairs: int = Field(description="(row, configuration) pairs")
    draws: int
    pairs_per_second: float
    outcomes: dict[str, int] = Field(description="outcome -> pairs")
    checks: dict[str, int] = Field(description="check -> pairs or draws judged")
    covered: dict[str, int] = Field(description="regime of logits -> pairs")
    skipped: dict[str, str] = Field(description="check -> why it was not used")
    findings: list[str] = Field(description="ids")
    strategies: dict[str, dict[str, int]] = Field(default={}, description="how parameters were made -> cases, and cells first met by them")
    matrix: dict[str, dict[str, int]] = Field(default={}, description="parameter -> regime of logits -> classes of value and answer met")
    cells: int = Field(default=0, description="classes of parameter value, regime and answer met in all")
    last_new: float = Field(default=0.0, description="seconds until the last of them was met")
    complete: bool = Field(description="false where the run ended before the target's summary")


class Report(_Model):
    """A whole run."""

    schema_version: Literal[1] = 1
    tool: Literal["samplerfuzz"] = "samplerfuzz"
    version: str
    seed: int | None
    started: str = Field(description="ISO 8601")
    seconds: float
    settings: dict[str, Any]
    status: int = Field(description="0 nothing found, 1 findings, 3 nothing could be tested, 130 interrupted")
    reason: str
    alpha_spent: float = Field(description="probability of a false alarm spent by the statistical checks")
    targets: list[TargetEntry]
    findings: list[FindingEntry]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of report.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Report.model_json_schema()}


def json_schema_text() -> str:
    """Return the text of `report.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
