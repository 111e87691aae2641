"""The shape of a policy file, as pydantic reads it and as its published JSON Schema (`policy.schema.json`, written by this module) says it.

To write the schema anew: python -m samplerfuzz.safety.policy_model
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model
from pydantic_core import PydanticCustomError

from samplerfuzz.core.dialects import DIALECTS
from samplerfuzz.core.registry import parameter, parameter_owners
from samplerfuzz.safety.bounds import bounded, default_bounds, is_whole, number_text

SCHEMA = Path(__file__).with_name("policy.schema.json")
_SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"

# bool is no number, a text is none, and neither NaN nor an infinity is a bound
_Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Whole = Annotated[int, Field(strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RealBound(_Strict):
    """The range of a parameter that is a real number; what is left out is the shipped policy's."""

    min: _Real | None = Field(default=None, description="Smallest value that passes.")
    max: _Real | None = Field(default=None, description="Largest value that passes.")
    default: _Real | None = Field(default=None, description="Value that is added where add_defaults is true.")
    action: Literal["reject", "clamp", "flag"] | None = Field(default=None, description="What happens to a number outside.")


class WholeBound(_Strict):
    """The range of a parameter that is a whole number; what is left out is the shipped policy's."""

    min: _Whole | None = Field(default=None, description="Smallest value that passes.")
    max: _Whole | None = Field(default=None, description="Largest value that passes.")
    default: _Whole | None = Field(default=None, description="Value that is added where add_defaults is true.")
    action: Literal["reject", "clamp", "flag"] | None = Field(default=None, description="What happens to a number outside.")


class BiasBound(_Strict):
    """The range of each addend of a bias; what is left out is the shipped policy's."""

    min: _Real | None = Field(default=None, description="Smallest addend that passes.")
    max: _Real | None = Field(default=None, description="Largest addend that passes.")
    action: Literal["reject", "clamp", "flag"] | None = Field(default=None, description="What happens to a number outside.")


def _bound_field(name: str) -> tuple[Any, Any]:
    bound = default_bounds()[name]
    what = parameter(name).summary or " · ".join(item.summary for item in parameter_owners()[name][:1])
    usual = f"[{number_text(bound.minimum)}, {number_text(bound.maximum)}]"
    default = None if bound.default is None else f", default {number_text(bound.default)}"
    description = f"{what}. Shipped: {usual}{default or ''}."
    shape = BiasBound if parameter(name).kind == "bias" else WholeBound if is_whole(name) else RealBound
    return shape | None, Field(default=None, description=description)


_Parameters = create_model("Parameters", __base__=_Strict, **{name: _bound_field(name) for name in bounded()})  # type: ignore[call-overload]


def _whole(value: object) -> object:
    if isinstance(value, bool):  # which equals 1 to Python, and so to a literal
        raise PydanticCustomError("literal_error", "Input should be 1")
    return value


class PolicyFile(_Strict):
    """What a deployment may be asked for."""

    version: Annotated[Literal[1], BeforeValidator(_whole)] = Field(default=1, description="Version of this format.")
    allow_negative_temperature: bool = Field(default=False, description="Let T < 0 pass where parameters.temperature.min does.")
    unknown: Literal["accept", "flag", "reject"] = Field(
        default="flag", description="What becomes of a request with a field that nobody knows."
    )
    add_defaults: bool = Field(default=False, description="Add the defaults of parameters that are not given.")
    dialect: str | None = Field(
        default=None, description="The engine behind, so that what it ignores is said.", json_schema_extra={"examples": list(DIALECTS)}
    )
    registry: str | None = Field(
        default=None, min_length=1, description="registry.json of `samplerfuzz probe census`, relative to this file."
    )
    profile: str | None = Field(default=None, min_length=1, description="Baseline of the distribution, relative to this file.")
    sampling_rate: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] = Field(
        default=1.0, description="Share of the answers that are watched."
    )
    on_error: Literal["closed", "open"] = Field(default="closed", description="What a validator that fails means: refuse, or let pass.")
    logprobs: bool = Field(default=False, description="Whether a guard may ask for log-probabilities of its own.")
    logprobs_are: Literal["unknown", "raw", "after the temperature", "after the filters"] = Field(
        default="unknown", description="What the engine's log-probabilities are, as `samplerfuzz fuzz URL` measures it."
    )
    parameters: _Parameters = Field(  # type: ignore[valid-type]
        default_factory=_Parameters, description="Ranges, by the parameter's name in `samplerfuzz ls techniques`."
    )


def schema_text() -> str:
    """Return the JSON Schema of a policy file, as it is committed."""
    schema = {"$schema": _SCHEMA_ID, **PolicyFile.model_json_schema(), "title": "samplerfuzz policy"}
    return json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
