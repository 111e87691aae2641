"""The pages' templates: every text that they are given is escaped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2


def template(name: str, **filters: Callable[..., Any]) -> jinja2.Template:
    """Return the template `name` of a page, which knows these filters. A name that it is not given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("samplerfuzz.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
