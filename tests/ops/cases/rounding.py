"""Cases of rounding, and of division with a remainder, away from where they jump."""

import numpy as np

import minigen as mg
from ops.cases.case import binary, case, normal, rng, unary


def uneven(*shape: int) -> np.ndarray:
    """Numbers of both signs whose quotients, with each other and with 0.7, are all at least 0.01 away from whole numbers."""
    count = int(np.prod(shape))
    numbers: list[float] = [0.7]
    while len(numbers) <= count:
        x = rng.uniform(0.4, 3.0) * rng.choice([-1.0, 1.0])
        ratios = [ratio for y in numbers for ratio in (x / y, y / x)]
        if all(abs(ratio - round(ratio)) > 0.01 for ratio in ratios):
            numbers.append(x)
    return np.array(numbers[1:]).reshape(shape)


for rounded in ("floor", "ceil", "round"):
    unary(getattr(mg, rounded), normal, getattr(np, rounded), flows=False)
case(mg.round, 100 * normal(3, 4), decimals=1, expected=np.round, flows=False, label="decimals=1")
case(mg.round, 100 * normal(3, 4), decimals=-1, expected=np.round, flows=False, label="decimals=-1")
binary(mg.floor_divide, uneven, np.floor_divide, flows=False)
binary(mg.mod, uneven, np.mod)
