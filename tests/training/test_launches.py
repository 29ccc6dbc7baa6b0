"""What a training step asks of a GPU, counted on its double: so many launches, and no sum that leaves it idle.

A launch takes the CPU some microseconds whatever it computes, so their number is what a small model's step costs. The double runs the
readable kernels, of which CUDA's fuse many into one. So the bounds are not predictions: they are what was counted, and a little more, and a
step that exceeds its bound has a new loop or a dozen new temporary arrays in it.
"""

import sys

import numpy as np
import pytest
from doubles import strict_cupy

import minigen as mg
from minigen import kernels, nn
from minigen.engine import sum_to
from minigen.optim import Adam
from minigen.random import Generator


@pytest.fixture
def double(monkeypatch):
    """The double, also where there is a GPU: only it counts."""
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.cupy)
    return "gpu"


def perceptron(rng):
    layers = [nn.Linear(8, 16, rng=rng), nn.ReLU(), nn.Linear(16, 10, rng=rng)]
    return nn.Sequential(*layers), (5000, 8)


def convolutions(rng):
    layers = [
        nn.Conv2d(1, 8, kernel_size=3, padding=1, rng=rng), nn.BatchNorm(8), nn.ReLU(),
        nn.ConvTranspose2d(8, 10, kernel_size=4, stride=2, padding=1, rng=rng), nn.BatchNorm(10),
    ]  # fmt: skip
    return nn.Sequential(*layers), (8, 20, 20, 1)


def groups(rng):
    layers = [
        nn.Conv2d(1, 8, kernel_size=1, rng=rng), nn.GroupNorm(2, 8), nn.SiLU(), nn.Conv2d(8, 10, kernel_size=1, rng=rng),
        nn.InstanceNorm(10, affine=True), nn.LayerNorm(10),
    ]  # fmt: skip
    return nn.Sequential(*layers), (2, 60, 60, 1)


def attention(rng):
    return nn.Sequential(nn.Linear(8, 10, rng=rng), nn.MultiHeadAttention(10, heads=2, rng=rng)), (100, 20, 8)


class Walk(nn.Module):
    """The states of an LSTM, without the last one."""

    def __init__(self, rng):
        self.lstm = nn.LSTM(8, 10, rng=rng)

    def forward(self, x):
        return self.lstm(x)[0]


def recurrence(rng):
    return Walk(rng), (100, 20, 8)


BOUNDS = {
    "perceptron": (perceptron, 120),
    "convolutions": (convolutions, 450),
    "groups": (groups, 300),
    "attention": (attention, 155),
    "recurrence": (recurrence, 1450),  # 70 for each of 20 places
}


def step(network, optimizer, x, labels):
    logits = network(x)
    loss = -mg.mean(mg.distributions.Categorical(logits=mg.reshape(logits, (-1, 10))).log_prob(labels))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize(("make", "bound"), BOUNDS.values(), ids=BOUNDS)
def test_a_step_has_few_launches_and_adds_up_nothing_on_a_few_processors(make, bound, double):
    rng = np.random.default_rng(0)
    network, shape = make(Generator(0))
    network = network.to(double)
    x = mg.tensor(rng.normal(size=shape).astype("float32"), device=double)
    labels = mg.tensor(rng.integers(0, 10, network(x).size // 10), device=double)
    optimizer = Adam(network, learning_rate=1e-3)
    step(network, optimizer, x, labels)
    with strict_cupy.counting() as transfers:
        step(network, optimizer, x, labels)
    assert transfers == strict_cupy.Transfers()
    assert transfers.narrow == []
    assert 0.9 * bound < len(transfers.launches) <= bound  # lower the bound where a step has become leaner


@pytest.mark.parametrize("shape", [(2, 3), (3,), (1, 3), (1, 2, 3), (1, 1, 1, 3)])
def test_what_was_broadcast_along_the_first_axes_is_summed_by_a_product(shape, double):
    g = sys.modules["cupy"].ones((100, 50, 2, 3), "float32")
    with strict_cupy.counting() as transfers:
        total = sum_to(g, shape=shape)
    assert transfers.narrow == []
    assert sum("matmul" in place for place in transfers.launches) == 1
    assert (total.get() == g.size / total.size).all()


@pytest.mark.parametrize("axes", [(0, 1), (1,), (0, 2), (-1,)])
def test_norms_add_up_nothing_on_a_few_processors(axes, double):
    x = sys.modules["cupy"].asarray(np.random.default_rng(0).normal(size=(3, 5000, 4)).astype("float32"))
    with strict_cupy.counting() as transfers:
        _, mean, scale = kernels.normalize(x, None, None, axes=axes, epsilon=1e-5)
        kernels.normalize_backward(x, x, None, mean, scale, axes=axes, bias_shape=())
    assert transfers.narrow == []
