"""The tests of the guard share a server with faults, and a guard in a thread."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from guarding import guarding
from stub_upstream import serving


@pytest.fixture(scope="module")
def stub():
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def guard(stub):
    with guarding(stub.url) as running:
        yield running
