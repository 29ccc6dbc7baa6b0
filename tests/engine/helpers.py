"""A leaf in one line, and an operation that counts how often its vjp runs."""

import numpy as np

from minigen.backend import to_device
from minigen.engine import Tensor, primitive


def leaf(values, dtype="float64", name="", device="cpu"):
    return Tensor(to_device(np.array(values, dtype), device), requires_grad=True, name=name)


def counting(name="counted"):
    """An identity, and a list that grows by one whenever its vjp runs."""
    calls = []

    def identity(x):
        return x + 0.0

    def vjp(g):
        calls.append(name)
        return g

    identity.__name__ = name
    operation = primitive()(identity)
    operation.vjp(x=vjp)
    return operation, calls
