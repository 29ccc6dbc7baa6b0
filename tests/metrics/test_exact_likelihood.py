"""Exact likelihoods of many examples: in batches, and the same as at once."""

import numpy as np
import pytest
from devices import on_host

from minigen.engine import no_grad
from minigen.metrics import exact_log_likelihood
from minigen.models import BernoulliConditional, PixelCNN
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
