"""Cases of trigonometric and hyperbolic functions and their inverses, away from poles and from the ends of their domains."""

import numpy as np

import minigen as mg
from ops.cases.case import away, binary, normal, rng, unary


def inside(*shape: int) -> np.ndarray:
    """Numbers in (-0.9, 0.9)."""
    return rng.uniform(-0.9, 0.9, shape)


def beyond_one(*shape: int) -> np.ndarray:
    return rng.uniform(1.2, 3.0, shape)


unary(mg.tan, inside, np.tan)
unary(mg.arcsin, inside, np.arcsin)
unary(mg.arccos, inside, np.arccos)
unary(mg.arctan, normal, np.arctan)
binary(mg.arctan2, away, np.arctan2)
binary(mg.hypot, away, np.hypot)
unary(mg.sinh, normal, np.sinh)
unary(mg.cosh, normal, np.cosh)
unary(mg.arcsinh, normal, np.arcsinh)
unary(mg.arccosh, beyond_one, np.arccosh)
unary(mg.arctanh, inside, np.arctanh)
