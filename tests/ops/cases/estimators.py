"""Gradient estimators: the straight-through estimator and the reversal of gradients."""

from typing import Any

import minigen as mg
from ops.cases.case import case, normal


def straight_through(x: Any) -> Any:
    return mg.straight_through(x, x)


case(mg.gradient_reversal, normal(2, 3), expected=lambda x, scale: x, label="reversed to the right", scale=-1.0)
case(straight_through, normal(2, 3), expected=lambda x: x, label="to itself")
