"""What all autoregressive models have: steps in an order, draws by quantiles, completions, samplings that are broken off."""

import itertools
import math

import numpy as np
import pytest
from devices import on_host
from scipy.stats import chisquare

import minigen as mg
from minigen import nn, ops
from minigen.engine import no_grad
from minigen.models import (
    MADE,
    NADE,
    BeliefNet,
    BernoulliConditional,
    CategoricalConditional,
    GatedPixelCNN,
    LogisticMixtureConditional,
    PixelCNN,
    PixelRNN,
)
from minigen.models.autoregressive import Autoregressive
from minigen.random import Generator


class Triangle(Autoregressive):
    """Logits W x + b, W strictly triangular in an order of the model's own: the smallest autoregressive model."""

    def __init__(self, size, order, rng):
        self.size, self.conditional = size, BernoulliConditional()
        self.visits = np.asarray(order)
        place = np.argsort(order)  # of each site in the order
        self.mask = nn.Buffer((place[:, None] < place).astype(np.float32))  # (from, to)
        self.weight = nn.Parameter(3 * rng.normal((len(order), len(order))))
        self.bias = nn.Parameter(rng.normal(len(order)))

    @property
    def order(self):
        return self.visits

    def predict(self, x, condition=None):
        flat = ops.reshape(x, shape=(len(x), -1))
        logits = ops.matmul(flat, self.weight * self.mask) + self.bias
        return ops.reshape(logits, shape=(*x.shape, 1))


ORDER = (2, 0, 3, 1)


def triangle(order=ORDER, size=(2, 2, 1)):
    return Triangle(size, order, Generator(0))


def all_bits(size=(2, 2, 1)):
    return np.array(list(itertools.product((0, 1), repeat=math.prod(size))), np.float32).reshape(-1, *size)


def probabilities(model):
    with no_grad():
        return np.exp(model.log_prob(all_bits(model.size)).data.astype(np.float64))


def numbers(x):
    """Images of four bits as whole numbers, the place of each in `all_bits`."""
    return (x.reshape(len(x), 4) @ np.array([8, 4, 2, 1])).astype(int)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), ORDER])
def test_samples_are_of_the_distribution_in_any_order(order):
    model, n = triangle(order), 4000
    p = probabilities(model)
    assert abs(p.sum() - 1) < 1e-6
    counts = np.bincount(numbers(model.sample(n, rng=Generator(1))), minlength=16)
    likely = n * p > 5
    observed, expected = (np.append(v[likely], v[~likely].sum()) for v in (counts, n * p / p.sum()))
    assert chisquare(observed[expected > 0], expected[expected > 0]).pvalue > 1e-3


def test_each_site_depends_on_those_before_it_in_the_order():
    model = triangle()
    for i, site in enumerate(ORDER):
        seen = model.dependence(all_bits(), site).ravel() > 0
        assert sorted(np.flatnonzero(seen)) == sorted(ORDER[:i])


def test_a_completion_is_conditioned_on_what_lies_before_in_the_order_and_on_nothing_else():
    # Known are the first and the last site of the order. The two between are drawn given the first; the last has no say.
    model, n = triangle(), 4000
    known = np.zeros((2, 2, 1), bool)
    known.reshape(-1)[[ORDER[0], ORDER[-1]]] = True
    x = all_bits()
    p = probabilities(model)
    first, last = (x.reshape(16, 4)[:, ORDER[i]] for i in (0, -1))
    given_first = p * (first == 1)
    expected = np.zeros(16)
    for k in np.flatnonzero(given_first):  # the last site is set to 1 whatever it would have become
        image = x[k].copy()
        image.reshape(-1)[ORDER[-1]] = 1
        expected[numbers(image[None])[0]] += given_first[k]
    done = model.complete(np.ones((n, 2, 2, 1), np.float32), known, rng=Generator(1))
    assert (done.reshape(n, 4)[:, [ORDER[0], ORDER[-1]]] == 1).all()
    counts = np.bincount(numbers(done), minlength=16)
    here = expected > 0
    assert not counts[~here].any()
    assert last.sum() == 8
    assert chisquare(counts[here], n * expected[here] / expected.sum()).pvalue > 1e-3


def test_unknown_places_of_an_image_to_complete_may_hold_anything():
    model, known = triangle(), np.array([True, False])[:, None]
    x = all_bits()
    spoiled = np.where(known, x, np.nan)
    expected = model.complete(x, known, rng=Generator(1))
    np.testing.assert_array_equal(model.complete(spoiled, known, rng=Generator(1)), expected)
    assert np.isnan(spoiled).any()  # which stays as it is: a completion is a copy


def test_a_sampling_that_is_broken_off_keeps_what_is_drawn():
    model, n = triangle(), 5
    whole = model.sample(n, rng=Generator(1)).reshape(n, 4)
    x = np.full((n, 2, 2, 1), np.nan, np.float32)
    drawing = model.fill(x, rng=Generator(1))
    assert [next(drawing), next(drawing)] == [1, 2]
    drawing.close()
    drawn = list(ORDER[:2])
    np.testing.assert_array_equal(x.reshape(n, 4)[:, drawn], whole[:, drawn])
    assert list(model.fill(x, rng=Generator(1))) == [1, 2, 3, 4]
    np.testing.assert_array_equal(x.reshape(n, 4), whole)


def test_one_seed_draws_one_sample_and_another_seed_another():
    model = triangle()
    a, b, c = (model.sample(50, rng=Generator(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_no_bit_that_is_all_but_impossible_is_drawn_though_numbers_of_24_bits_may_be_0():
    class Coarse:
        """Draws the smallest number that there is."""

        device = "cpu"

        def uniform(self, shape, *, dtype="float32"):
            return np.full(shape, 0.0 if dtype == "float32" else 2.0**-53, dtype)

    model = triangle()
    model.weight.data[...], model.bias.data[...] = 0.0, 40.0  # a 0 has the probability 4e-18
    assert model.sample(1, rng=Coarse()).min() == 1


def test_the_loss_is_the_mean_in_nats_of_an_example():
    model, x = triangle(), all_bits()
    loss, terms = model.loss(x)
    np.testing.assert_allclose(loss.item(), -np.log(probabilities(model)).mean(), rtol=1e-5)
    assert terms["negative_log_likelihood"].item() == loss.item()
    assert not terms["negative_log_likelihood"].requires_grad
    loss.backward()
    assert model.weight.grad is not None


def test_samples_lie_on_the_device_of_the_generator(device):
    model = triangle().to(device)
    drawn = model.sample(3, rng=Generator(1, device=device))
    assert mg.tensor(drawn).device == device
    np.testing.assert_array_equal(on_host(drawn), triangle().sample(3, rng=Generator(1)))


def test_what_does_not_fit_is_named():
    model, rng = triangle(), Generator(0)
    with pytest.raises(ValueError, match=r"Triangle: x has shape \(3, 4\), expected \(N, 2, 2, 1\)"):
        model.log_prob(np.zeros((3, 4), np.float32))
    with pytest.raises(ValueError, match="2 of 4 values are not levels, the first is 255"):
        model.log_prob(np.array([0, 1, 255, 255], np.float32).reshape(1, 2, 2, 1))
    with pytest.raises(ValueError, match=r"Triangle.fill: x has shape \(1, 4\), expected \(N, 2, 2, 1\)"):
        list(model.fill(np.zeros((1, 4), np.float32), rng=rng))
    with pytest.raises(ValueError, match=r"fill: x, \(3, 2, 2, 1\), is filled in place and must be contiguous"):
        list(model.fill(np.zeros((2, 2, 1, 3), np.float32).transpose(3, 0, 1, 2), rng=rng))
    with pytest.raises(ValueError, match="2 of 4 values are not levels, the first is 7"):
        model.complete(np.full((1, 2, 2, 1), 7, np.float32), np.eye(2, dtype=bool)[:1, :, None], rng=rng)
    x = np.zeros((3, 2, 2, 1), np.float32)
    for shape in ((4,), (3, 1, 1, 2), (1, 3, 2, 2, 1)):
        with pytest.raises(
            ValueError, match=r"fill: known has shape .*, expected one that broadcasts to that of x, \(3, 2, 2, 1\)"
        ):
            model.complete(x, np.ones(shape, bool), rng=rng)
    with pytest.raises(TypeError, match="fill: known is a list, expected an array"):
        model.complete(x, [True], rng=rng)
    with pytest.raises(TypeError, match="fill: x is a Tensor, expected an array"):
        next(model.fill(mg.tensor(x), rng=rng))
    with pytest.raises(TypeError, match="fill: known is of float64, expected bool"):
        model.complete(x, np.full((2, 1), 0.5), rng=rng)
    with pytest.raises(NotImplementedError, match="Autoregressive defines no predict"):
        Autoregressive().predict(np.zeros(1))


MODELS = {
    "belief net": lambda rng: BeliefNet([2, 2, 1]),
    "NADE": lambda rng: NADE([2, 2, 1], hidden=3, rng=rng),
    "MADE": lambda rng: MADE([2, 2, 1], hidden=(5,), rng=rng),
    "PixelCNN": lambda rng: PixelCNN([2, 2, 1], LogisticMixtureConditional(4, components=2), features=4, blocks=1, rng=rng),
    "GatedPixelCNN": lambda rng: GatedPixelCNN([2, 2, 1], CategoricalConditional(4), features=4, layers=2, rng=rng),
    "PixelRNN": lambda rng: PixelRNN([2, 2, 1], BernoulliConditional(), kind="row", features=4, layers=1, rng=rng),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_whole_numbers_of_any_dtype_are_the_same_images(make, dtype):
    model, x = make(Generator(0)), all_bits()
    for k, parameter in enumerate(model.parameters()):
        parameter.data = Generator(k).normal(parameter.shape)
    expected = model.log_prob(x).data
    found = model.log_prob(x.astype(dtype)).data
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    known = np.array([True, False])[:, None]
    for cached in (True, False):
        drawn = model.complete(x.astype("uint8"), known, rng=Generator(1), cached=cached)
        np.testing.assert_array_equal(drawn, model.complete(x, known, rng=Generator(1)))


@pytest.mark.parametrize("size", [(), (0,), (2, 0, 1)])
def test_a_size_without_sites_is_refused(size):
    for make in (
        BeliefNet,
        lambda size: MADE(size, hidden=(4,), rng=Generator(0)),
        lambda size: NADE(size, hidden=4, rng=Generator(0)),
    ):
        with pytest.raises(ValueError, match=r"size is .*, expected the shape of an example"):
            make(size)
