"""The optimizer kernels against PyTorch's optimizers, step by step in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigen import kernels

torch = pytest.importorskip("torch")

STEPS = 100


def follow(make: Callable[[list[Any]], Any], step: Callable[[np.ndarray, np.ndarray, int], None]) -> None:
    """Take the same gradients through PyTorch and through `step(values, gradients, count)`."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=30)
    theirs = torch.nn.Parameter(torch.from_numpy(values.copy()))
    optimizer = make([theirs])
    for count in range(1, STEPS + 1):
        gradients = rng.normal(size=30) * rng.choice([1e-3, 1.0, 1e3], size=30)
        theirs.grad = torch.from_numpy(gradients.copy())
        optimizer.step()
        step(values, gradients, count)
        np.testing.assert_allclose(values, theirs.detach().numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_sgd(momentum: float, nesterov: bool, weight_decay: float) -> None:
    velocity = np.zeros(30) if momentum else None
    settings = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
    follow(
        lambda parameters: torch.optim.SGD(parameters, lr=0.01, **settings),
        lambda x, g, count: kernels.sgd_step(x, g, velocity, learning_rate=0.01, first=count == 1, **settings),
    )


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_rmsprop(weight_decay: float) -> None:
    square = np.zeros(30)
    follow(
        lambda parameters: torch.optim.RMSprop(parameters, lr=0.01, alpha=0.95, eps=1e-6, weight_decay=weight_decay),
        lambda x, g, _: kernels.rmsprop_step(
            x, g, square, learning_rate=0.01, decay=0.95, epsilon=1e-6, weight_decay=weight_decay
        ),
    )


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam(decoupled: bool, weight_decay: float) -> None:
    m, v = np.zeros(30), np.zeros(30)
    optimizer = torch.optim.AdamW if decoupled else torch.optim.Adam
    settings = {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-6, "weight_decay": weight_decay, "decoupled": decoupled}
    follow(
        lambda parameters: optimizer(parameters, lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=weight_decay),
        lambda x, g, count: kernels.adam_step(x, g, m, v, learning_rate=0.01, step=count, **settings),
    )
