"""Validators that other packages bring: the entry point group `samplerfuzz.validators`, each a callable without arguments that returns one."""

from __future__ import annotations

from importlib.metadata import entry_points

from samplerfuzz.core.errors import UsageError
from samplerfuzz.safety.observation import Validator

GROUP = "samplerfuzz.validators"


def third_party_validators() -> tuple[Validator, ...]:
    """Return a validator an entry point, by name.

    Raises:
      UsageError: one cannot be loaded, or is no validator; a guard that silently runs without it would be worse.
    """
    return tuple(_validator(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


def _validator(entry: object) -> Validator:
    name = getattr(entry, "name", "")
    try:
        validator: Validator = entry.load()()  # type: ignore[attr-defined]
    except Exception as error:
        whence = getattr(entry, "value", "")
        raise UsageError(
            f"the validator {name!r} ({whence}) cannot be loaded: {type(error).__name__}: {error}; repair or uninstall it"
        ) from error
    if not isinstance(getattr(validator, "name", None), str) or not callable(getattr(validator, "check", None)):
        raise UsageError(f"the validator {name!r} has no name or no method check; see samplerfuzz.safety.observation.Validator")
    return validator
