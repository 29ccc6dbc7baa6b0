"""Exact likelihoods of many examples: in batches, and the same as at once."""

import numpy as np
import pytest
from devices import on_host

from minigen.engine import no_grad
from minigen.metrics import exact_log_likelihood, site_costs
from minigen.models import BeliefNet, BernoulliConditional, PixelCNN
from minigen.random import Generator


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_batches_give_what_one_pass_gives(batch_size, device):
    model = PixelCNN((3, 4, 1), BernoulliConditional(), features=4, blocks=1, classes=2, rng=Generator(0))
    x = np.random.default_rng(0).integers(0, 2, (7, 3, 4, 1), dtype=np.uint8)
    labels = np.arange(7) % 2
    with no_grad():
        expected = on_host(model.log_prob(x.astype(np.float32), labels))
    found = exact_log_likelihood(model.to(device), x, condition=labels, batch_size=batch_size)
    assert (type(found), found.dtype) == (np.ndarray, np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_no_more_than_a_batch_is_computed_at_a_time_and_nothing_is_recorded():
    class Counting:
        def __init__(self):
            self.sizes = []

        def parameters(self):
            return PixelCNN((1, 1, 1), BernoulliConditional(), features=2, blocks=0, rng=Generator(0)).parameters()

        def log_prob(self, x, condition):
            self.sizes.append(len(x))
            return x.sum(axis=(1, 2, 3))

    model = Counting()
    found = exact_log_likelihood(model, np.arange(10.0).reshape(10, 1, 1, 1), batch_size=4)
    np.testing.assert_array_equal(found, np.arange(10.0))
    assert model.sizes == [4, 4, 2]
    assert exact_log_likelihood(model, np.zeros((0, 1, 1, 1))).shape == (0,)
    with pytest.raises(ValueError, match="batch_size = 0 must be at least 1"):
        exact_log_likelihood(model, np.zeros((1, 1, 1, 1)), batch_size=0)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_what_sites_cost_adds_up_to_the_log_likelihood(batch_size, device):
    model = PixelCNN((3, 4, 1), BernoulliConditional(), features=4, blocks=1, rng=Generator(0)).to(device)
    x = np.random.default_rng(0).integers(0, 2, (7, 3, 4, 1), dtype=np.uint8)
    costs = site_costs(model, x, batch_size=batch_size)
    assert costs.shape == (3, 4, 1)
    assert costs.sum() == pytest.approx(-exact_log_likelihood(model, x).mean(), rel=1e-5)


def test_what_sites_cost_a_model_of_known_probabilities():
    net = BeliefNet((2,))
    net.bias.data[...] = [np.log(3), 0.0]  # p(x_1 = 1) = 3/4, p(x_2 = 1) = 1/2
    found = site_costs(net, np.array([[1, 0], [1, 1], [0, 1], [1, 1]]))
    np.testing.assert_allclose(found, [-(3 * np.log(3 / 4) + np.log(1 / 4)) / 4, np.log(2)], rtol=1e-6)


@pytest.mark.parametrize(("count", "batch_size"), [(0, 1), (1, 0)])
def test_no_examples_and_no_batch_are_refused(count, batch_size):
    with pytest.raises(ValueError, match=f"batch_size = {batch_size} and {count} examples must be at least 1"):
        site_costs(BeliefNet((2,)), np.zeros((count, 2)), batch_size=batch_size)
