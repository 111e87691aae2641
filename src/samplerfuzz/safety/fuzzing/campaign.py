"""The campaign: throw, judge, shrink, report each broken claim once."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from samplerfuzz.core.seeding import stream
from samplerfuzz.safety.fuzzing.claims import CLAIMS, OF_BEARING, OF_DECISIONS, OF_RESULTS, Broken, decision_claims, result_claims
from samplerfuzz.safety.fuzzing.judge import Judge, exact
from samplerfuzz.safety.fuzzing.throws import mixtures, observations, single
from samplerfuzz.safety.names import canonical
from samplerfuzz.safety.observation import Observation, Validator
from samplerfuzz.safety.policy import Decision, Policy
from samplerfuzz.safety.shown import as_json, shown

DECIDING = "policy.decide"
_MOST = 100  # findings: a validator that breaks everything says no more with more of them
_OFTEN = 100
_PLAIN: tuple[Any, ...] = (0, 1, 2, 3, -1, 0.5, float("nan"), float("inf"), True, "1")
# validators of samplerfuzz that answer for parameters -> the one they answer for, or None for all
ANSWERS: Mapping[str, str | None] = {"temperature": "temperature", "sampling parameters": None}
Probe = Callable[[Mapping[Any, Any]], Iterator[Broken]]


@dataclass(frozen=True, kw_only=True)
class ValidatorFinding:
    """A claim that was broken.

    Attributes:
      id: stable over runs: of subject, claim and the fields that it takes.
      subject: what broke it: DECIDING or a validator's name.
      claim: one of CLAIMS.
      config: smallest configuration found that breaks it.
      message: what was expected and what came.
    """

    id: str
    subject: str
    claim: str
    config: Mapping[Any, Any]
    message: str

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        claimed = {"claim": self.claim, "claims": CLAIMS[self.claim]}
        return {"id": self.id, "subject": self.subject, **claimed, "config": _written(dict(self.config)), "message": self.message}

    def text(self) -> str:
        """Return the finding in three lines."""
        config = json.dumps(_written(dict(self.config)))
        return f"{self.id}  {self.subject} breaks {self.claim}: {CLAIMS[self.claim]}\n  {config}\n  {self.message}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a campaign came to.

    Attributes:
      cases: configurations and observations thrown.
      seconds: time it took.
      findings: broken claims.
    """

    cases: int
    seconds: float
    findings: tuple[ValidatorFinding, ...]


def fuzz_validators(
    policy: Policy,
    *,
    validators: Iterable[Validator],
    decide: Callable[[Mapping[Any, Any]], Decision] | None = None,
    seed: int = 0,
    seconds: float | None = None,
    mixed: int | None = 2000,
    found: Callable[[ValidatorFinding], None] = lambda finding: None,
    thrown: Callable[[int, float], None] = lambda cases, seconds: None,
) -> Outcome:
    """Throw every edge at a policy and its validators, then mixtures, and return what broke.

    Args:
      policy: by whose bounds they are judged.
      validators: those to fuzz; of one that is none of ANSWERS, only that it bears what comes and answers well-formed results is claimed.
      decide: instead of the policy's own.
      seed: of the mixtures.
      seconds: time after which nothing new is thrown; None: no limit.
      mixed: number of mixtures; None: as many as the time allows.
      found: is told each finding as it is met.
      thrown: is told how many configurations were thrown, and in which time, again and again.
    """
    judge, subjects = Judge(policy), list(validators)
    probes = probes_of(policy, subjects, decide)
    begun, cases, findings = time.monotonic(), 0, dict[tuple[Any, ...], ValidatorFinding]()

    def note(subject: str, probe: Probe, config: Mapping[Any, Any]) -> None:
        for claim, message in probe(config):
            smallest, said = _shrunk(probe, claim, config, message)
            key = (subject, claim, *sorted(f"{canonical(name)} {_kind(value)}" for name, value in smallest.items()))
            if key not in findings and len(findings) < _MOST:
                findings[key] = ValidatorFinding(id=_digest(key), subject=subject, claim=claim, config=smallest, message=said)
                found(findings[key])

    for observation in observations():
        cases += 1
        for validator in subjects:
            note(validator.name, _bearing(judge, validator, observation), {})
    for config in itertools.chain(single(policy), itertools.islice(mixtures(policy, stream(seed, "validators")), mixed)):
        if len(findings) >= _MOST or (seconds is not None and time.monotonic() - begun >= seconds):
            break
        cases += 1
        for subject, probe in probes.items():
            note(subject, probe, config)
        if cases % _OFTEN == 0:
            thrown(cases, time.monotonic() - begun)
    return Outcome(cases=cases, seconds=time.monotonic() - begun, findings=tuple(findings.values()))


def probes_of(
    policy: Policy, validators: Iterable[Validator], decide: Callable[[Mapping[Any, Any]], Decision] | None = None
) -> dict[str, Probe]:
    """Map each subject to what it breaks on a configuration."""
    judge = Judge(policy)
    deciding: dict[str, Probe] = {DECIDING: lambda config: decision_claims(judge, decide or policy.decide, config)}
    return deciding | {validator.name: _probe(judge, validator) for validator in validators}


def claims_on(subject: str) -> tuple[str, ...]:
    """Return what is claimed of a subject."""
    return OF_DECISIONS if subject == DECIDING else OF_RESULTS if subject in ANSWERS else OF_BEARING


def _probe(judge: Judge, validator: Validator) -> Probe:
    def check(config: Mapping[Any, Any]) -> Iterable[Any]:
        return validator.check(Observation(config=config))

    name = validator.name
    return lambda config: result_claims(judge, check, config, only=ANSWERS.get(name), accuses=name in ANSWERS)


def _bearing(judge: Judge, validator: Validator, observation: Observation) -> Probe:
    def probe(config: Mapping[Any, Any]) -> Iterator[Broken]:
        for claim, message in result_claims(judge, lambda _: validator.check(observation), config, only=None, accuses=False):
            yield claim, f"{message}; given {observation!r:.200}"

    return probe


def _shrunk(probe: Probe, claim: str, config: Mapping[Any, Any], message: str) -> tuple[dict[Any, Any], str]:
    """Return the smallest configuration found that breaks the same claim, and what is said of it: fewest fields, plainest values."""
    smallest, said = dict(config), message

    def still(smaller: Mapping[Any, Any]) -> str | None:
        return next((what for broken, what in probe(smaller) if broken == claim), None)

    for name in list(smallest):
        smaller = {key: value for key, value in smallest.items() if key != name}
        if (what := still(smaller)) is not None:
            smallest, said = smaller, what
    for name in list(smallest):
        for value in _PLAIN:
            smaller = {**smallest, name: value}
            if _kind(value) == _kind(smallest[name]) and (what := still(smaller)) is not None:
                smallest, said = smaller, what
                break
    return smallest, said


def _kind(value: Any) -> str:
    """Return what sort of value this is: findings that differ in less are one."""
    number = "several" if isinstance(value, list | tuple | dict) else exact(value)
    if not isinstance(number, str):
        return "number"
    return number if number in ("NaN", "Infinity", "-Infinity", "several") else "no number"


def _digest(key: tuple[Any, ...]) -> str:
    return hashlib.sha256(repr(key).encode("utf-8", "backslashreplace")).hexdigest()[:10]


def _key(name: Any) -> str:
    return name if isinstance(name, str) and name.isidentifier() and len(name) < 64 else shown(name)


def _written(value: Any, depth: int = 3) -> Any:
    """Return a value as JSON, written out where it is small."""
    if depth and type(value) in (list, tuple) and len(value) <= 8:
        return [_written(item, depth - 1) for item in value]
    if depth and type(value) is dict and len(value) <= 8:
        return {_key(name): _written(item, depth - 1) for name, item in value.items()}
    return as_json(value)
