"""The option of every verb that calls a library."""

from __future__ import annotations

import click

python_option = click.option(
    "--python",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    metavar="PATH",
    help="The interpreter that has the library (default: the one that `samplerfuzz targets install` made).",
)
