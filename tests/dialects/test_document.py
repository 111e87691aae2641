"""DIALECTS.md says what the dialects and the golden cases say."""

import importlib.util
from pathlib import Path


def test_the_document_is_up_to_date():
    path = Path(__file__).parent / "make_document.py"
    specification = importlib.util.spec_from_file_location("make_document", path)
    maker = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(maker)
    assert maker.DOCUMENT.read_text(encoding="utf-8") == maker.document(), f"run python {path.name}"
