"""The pages' templates: every text that they are given is escaped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2


class _Missing(jinja2.StrictUndefined):
    """What a page is not given: an error to format, too."""

    __slots__ = ()

    def __format__(self, specification: str) -> str:
        return str(self)


def template(name: str, **filters: Callable[..., Any]) -> jinja2.Template:
    """Return the template `name` of a page, which knows these filters. A name that it is not given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("samplerfuzz.report"),
        autoescape=True,
        undefined=_Missing,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
