"""A fixture that every test of the engine uses."""

import pytest

from minigen.engine import Primitive


@pytest.fixture(autouse=True)
def registry_as_before():
    """Remove what a test has registered."""
    before = dict(Primitive.registry)
    yield
    Primitive.registry.clear()
    Primitive.registry.update(before)
