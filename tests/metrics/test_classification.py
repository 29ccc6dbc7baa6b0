"""Shares of classes told rightly, and Bayes' rule against a model whose p(y|class) is known."""

import numpy as np
import pytest

from minigen.metrics import accuracy, class_log_joint
from minigen.random import Generator


def test_accuracy_counts_the_examples_whose_class_scores_highest():
    scores = np.eye(4)[[0, 1, 2, 3, 3]]
    assert accuracy(scores, [0, 1, 2, 3, 3]) == 1.0
    assert accuracy(scores, [0, 1, 2, 2, 0]) == 0.6


@pytest.mark.parametrize(
    ("scores", "labels"), [(np.zeros((3, 2)), [0, 1]), (np.zeros(3), [0, 1, 1]), (np.zeros((0, 2)), [])]
)
def test_accuracy_of_other_shapes_is_refused(scores, labels):
    with pytest.raises(ValueError, match=r"accuracy: scores of shape .*, expected \(N, K\) and \(N,\)"):
        accuracy(scores, labels)


class Known:
    """In place of a CVAE: y is a number, log p(y|k) = -(y - k)^2 / 2, and every weight is this density times noise."""

    def __init__(self, noise=0.0):
        self.noise, self.drawn = noise, []

    def log_weights(self, batch, samples, *, rng):
        y, c = (part.data for part in batch)
        noise = self.noise * rng.normal((samples, len(y)), dtype="float64")
        self.drawn.append(noise)
        return noise - 0.5 * (y[:, 0] - c @ np.arange(c.shape[1])) ** 2


def test_the_joint_density_is_that_of_the_class_times_its_prior():
    import minigen as mg

    y, prior = np.array([[0.2], [1.4], [2.0]]), np.array([0.5, 0.25, 0.25])
    found = class_log_joint(Known(), mg.tensor(y), prior=prior, samples=3, make_rng=lambda: Generator(0))
    np.testing.assert_allclose(found, -0.5 * (y - np.arange(3)) ** 2 + np.log(prior), rtol=1e-12, atol=1e-12)


def test_every_class_is_judged_by_the_same_noise():
    import minigen as mg

    model = Known(noise=2.0)
    class_log_joint(model, mg.tensor(np.zeros((5, 1))), prior=[0.5, 0.5], samples=4, make_rng=lambda: Generator(3))
    first, second = model.drawn
    np.testing.assert_array_equal(first, second)
