"""A policy: what a deployment may be asked for, and what becomes of a request that asks for something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samplerfuzz.core.dialects import find_dialect
from samplerfuzz.core.errors import UsageError
from samplerfuzz.core.registry import parameter
from samplerfuzz.safety.bounds import CLAMP, FLAG, REJECT, Bound, default_bounds
from samplerfuzz.safety.combinations import contradictions, without_effect
from samplerfuzz.safety.engines import engine_remarks
from samplerfuzz.safety.names import canonical, is_other_field, nearest, wire_name
from samplerfuzz.safety.results import INFO, LOW, MEDIUM, Result
from samplerfuzz.safety.shown import as_json, shown
from samplerfuzz.safety.values import Fault, beyond_single, fault_of

ACCEPT = "accept"
DECISIONS = (ACCEPT, FLAG, CLAMP, REJECT)  # from the mildest on
CLOSED, OPEN = "closed", "open"
UNKNOWN, RAW, AFTER_TEMPERATURE, AFTER_FILTERS = MEANINGS = ("unknown", "raw", "after the temperature", "after the filters")
VALIDATOR = "policy"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of a request.

    Attributes:
      action: "accept", "flag" (passes as it is, and is counted), "clamp" (passes, changed) or "reject".
      config: what to forward; empty where the request is rejected.
      results: why; a result of the severity "info" by itself flags nothing.
    """

    action: str
    config: dict[str, Any]
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a deployment may be asked for.

    Attributes:
      parameters: registry's name -> bound.
      allow_negative_temperature: whether T < 0 may pass where the bound of the temperature holds it.
      unknown: what becomes of a request with a field that nobody knows: "accept", "flag" or "reject".
      add_defaults: whether a parameter that is not given, or null, is added where its bound has a default.
      dialect: the engine behind, by its name in `samplerfuzz ls dialects`; None: not known.
      registry: file of the anomalous tokens of the model behind.
      profile: file of the distribution's baseline.
      sampling_rate: share of the answers that are watched, in [0, 1].
      on_error: what a validator that fails means: "closed" refuses, "open" lets pass.
      logprobs: whether a guard may ask for log-probabilities of its own.
      logprobs_are: what the engine's log-probabilities are, in the words of `samplerfuzz fuzz URL`: "unknown", "raw" (the model's own), "after the
        temperature" or "after the filters" (those that the token is drawn by).
      source: the file it was read from.
    """

    parameters: Mapping[str, Bound] = field(default_factory=default_bounds)
    allow_negative_temperature: bool = False
    unknown: str = FLAG
    add_defaults: bool = False
    dialect: str | None = None
    registry: Path | None = None
    profile: Path | None = None
    sampling_rate: float = 1.0
    on_error: str = CLOSED
    logprobs: bool = False
    logprobs_are: str = UNKNOWN
    source: Path | None = None

    def __post_init__(self) -> None:
        """Refuse settings that are none: UsageError."""
        if not 0 <= self.sampling_rate <= 1:
            raise UsageError(f"sampling_rate={self.sampling_rate}: expected a share in [0, 1]")
        for name, value, known in (
            ("unknown", self.unknown, (ACCEPT, FLAG, REJECT)),
            ("on_error", self.on_error, (CLOSED, OPEN)),
            ("logprobs_are", self.logprobs_are, MEANINGS),
        ):
            if value not in known:
                raise UsageError(f"{name}={value!r}: expected one of {', '.join(known)}")
        if self.dialect is not None:
            find_dialect(self.dialect)

    def decide(self, config: Mapping[str, Any] | Any) -> Decision:
        """Return what becomes of a request with these fields; fields that are no sampling parameters pass untouched.

        >>> decision = Policy().decide({"temperature": 5.0, "top_p": 0.9})
        >>> decision.action, decision.results[0].message
        ('reject', 'temperature=5.0 is outside [0, 2]; give a number in [0, 2]')
        """
        if not isinstance(config, Mapping):
            message = f"expected an object of sampling parameters, found {shown(config)}"
            return Decision(action=REJECT, config={}, results=(Result(validator=VALIDATOR, severity="high", message=message),))
        forwarded, results, actions = dict(config), list[Result](), [ACCEPT]
        for called, value in config.items():
            name = canonical(called)
            if name is None:
                if not is_other_field(called):
                    results.append(self._unknown(called, value))
                    actions.append(self.unknown)
                continue
            fault = self.fault(called, name, value)
            if fault is None:
                continue
            action = self._action(name, fault)
            actions.append(action)
            results.append(_result(called, value, fault, action))
            if action == CLAMP:
                forwarded[called] = fault.mended
        if self.add_defaults and REJECT not in actions:
            self._add_defaults(forwarded)
        remarks = list(self.remarks(forwarded))
        results += remarks
        actions += [FLAG for remark in remarks if remark.severity != INFO]
        action = max(actions, key=DECISIONS.index)
        return Decision(action=action, config={} if action == REJECT else forwarded, results=tuple(results))

    def bound(self, name: str) -> Bound | None:
        """Return the bound of a parameter, the shipped one where the policy has none; None for a list of token ids."""
        return self.parameters.get(name) or default_bounds().get(name)

    def fault(self, called: str, name: str, value: Any) -> Fault | None:
        """Return what is wrong with a value of the parameter `name`, which the request calls `called`; or None."""
        return fault_of(called, name, value, self.bound(name), allow_negative_temperature=self.allow_negative_temperature)

    def remarks(self, config: Mapping[str, Any]) -> list[Result]:
        """Return what there is to say of values that are within their bounds: without effect, ignored by the engine, given twice, huge."""
        given: dict[str, tuple[str, Any]] = {}
        results = []
        for called, value in config.items():
            name = canonical(called)
            if name is None or value is None or self.fault(called, name, value) is not None:
                continue
            if name in given:
                message = f"{called} and {given[name][0]} are one parameter: which of them counts is the engine's choice"
                results.append(_remark(called, LOW, message))
            given[name] = (called, value)
            if becomes := beyond_single(value):
                results.append(_remark(called, LOW, f"{called}={shown(value)} is {becomes} in single precision"))
        values = {name: value for name, (_, value) in given.items()}
        for name, reason in without_effect(values):
            called = given[name][0]
            results.append(_remark(called, INFO, f"{called}={shown(values[name])} has no effect: {reason}"))
        for name, reason in contradictions(values):
            results.append(_remark(given[name][0], MEDIUM, f"{given[name][0]}: {reason}"))
        if self.dialect is not None:
            for name, severity, message in engine_remarks(find_dialect(self.dialect), values):
                results.append(_remark(given[name][0], severity, message))
        return results

    def _action(self, name: str, fault: Fault) -> str:
        """Return what becomes of a fault: NaN, a text and the like are rejected whatever the policy says."""
        bound = self.bound(name)
        wanted = REJECT if bound is None else bound.action
        if wanted == CLAMP:
            return REJECT if fault.mended is None else CLAMP
        return wanted if fault.may_pass else REJECT

    def _add_defaults(self, config: dict[str, Any]) -> None:
        given = {canonical(called) for called, value in config.items() if value is not None}
        empty = {called: name for called, value in config.items() if value is None and (name := canonical(called)) is not None}
        for name, bound in self.parameters.items():
            if bound.default is not None and name not in given and parameter(name).is_number:
                for called in [called for called, other in empty.items() if other == name]:
                    del config[called]
                config[wire_name(self.dialect, name)] = bound.default

    def _unknown(self, called: Any, value: Any) -> Result:
        close = nearest(called)
        hint = f"; did you mean {close!r}?" if close else ""
        inside = sorted(name for name in value if canonical(name) is not None)[:3] if isinstance(value, Mapping) else []
        hint += f"; it holds {', '.join(inside)}, which nobody examines there" if inside else ""
        severity = MEDIUM if self.unknown == REJECT or inside else INFO if self.unknown == ACCEPT else LOW
        evidence = {"nearest": close, "value": as_json(value)}
        message = f"{shown(called)} is no field that samplerfuzz knows{hint}"
        called = called if isinstance(called, str) else None
        return Result(validator=VALIDATOR, severity=severity, message=message, evidence=evidence, parameter=called)


def _result(called: str, value: Any, fault: Fault, action: str) -> Result:
    evidence = {"value": as_json(value), "kind": fault.kind, "action": action}
    message = fault.message
    if action == CLAMP:
        evidence["forwarded"] = as_json(fault.mended)
        message += f"; forwarded as {shown(fault.mended)}"
    return Result(validator=VALIDATOR, severity=fault.severity, message=message, evidence=evidence, parameter=called)


def _remark(called: str, severity: str, message: str) -> Result:
    return Result(validator=VALIDATOR, severity=severity, message=message, parameter=called)
