"""What a worker does for a library, in the library's own interpreter: NumPy and the library are there, samplerfuzz need not be.

The modules of samplerfuzz that describe and call a function need nothing but NumPy; they are served from where this file lies, whatever
else the interpreter has.
"""

import importlib.util
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def open_functions(header):  # type: ignore[no-untyped-def]
    """Import the adapter that the header names, once, and describe those of its functions that this version of the library has."""
    _serve_samplerfuzz()
    from samplerfuzz.core.errors import UsageError
    from samplerfuzz.targets.libraries.adapter import import_adapter
    from samplerfuzz.targets.plain_worker import described

    try:
        module = import_adapter(header["functions"][0][1].rpartition(":")[0])
    except UsageError as error:
        return {"error": str(error)}, None
    lacks = {locator: module.LACKS[name] for locator, name in _names(header) if name in module.LACKS}
    there = [index for index, (locator, _) in enumerate(header["functions"]) if locator not in lacks]
    header = {**header, **{key: [header[key][index] for index in there] for key in ("functions", "returns")}}
    told, call = described(header, lambda where: getattr(module, where.rpartition(":")[2]), module.version())
    return {**told, "lacks": lacks}, call


def _names(header):  # type: ignore[no-untyped-def]
    return [(locator, where.rpartition(":")[2]) for locator, where in header["functions"]]


def _serve_samplerfuzz():  # type: ignore[no-untyped-def]
    """Make `import samplerfuzz` find the package that this file belongs to."""
    specification = importlib.util.spec_from_file_location(
        "samplerfuzz", _PACKAGE / "__init__.py", submodule_search_locations=[str(_PACKAGE)]
    )
    module = importlib.util.module_from_spec(specification)  # type: ignore[arg-type]
    sys.modules["samplerfuzz"] = module
    specification.loader.exec_module(module)  # type: ignore[union-attr]
