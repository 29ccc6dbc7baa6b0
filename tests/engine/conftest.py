"""What the tests of the engine share without asking for it."""

import pytest

from minigen.engine import Primitive


@pytest.fixture(autouse=True)
def registry_as_before():
    """What a test registers is gone after it."""
    before = dict(Primitive.registry)
    yield
    Primitive.registry.clear()
    Primitive.registry.update(before)
