"""What holds for every distribution: shapes, gradients to order two, dtypes, graphs, and errors with words."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from devices import on_host

import minigen as mg
from minigen.backend import device_of, module_of, to_device
from minigen.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    GumbelSoftmax,
    Laplace,
    Normal,
    NormalMixture,
    kl_divergence,
)
from minigen.distributions.closed_form_kl import CLOSED_FORMS
from minigen.random import Generator
from minigen.testing import gradcheck


class Case(NamedTuple):
    """A distribution of batch shape (2, 3), its parameters, and points for its log_prob, (4, 2, 3, ...)."""

    make: Callable[..., Distribution]
    parameters: list[np.ndarray]
    x: np.ndarray

    def on(self, device: str) -> "Case":
        """The same case with its arrays on a device."""
        parameters = [to_device(parameter, device) for parameter in self.parameters]
        return self._replace(parameters=parameters, x=to_device(self.x, device))

    def through(self, device: str) -> Callable[..., Distribution]:
        """Make the distribution on a device from Tensors that are anywhere."""
        return lambda *parameters: self.make(*(parameter.to(device) for parameter in parameters))


def numbers(*shape, low=-1.0, high=1.0, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape)


def simplex(*shape):
    return np.random.default_rng(1).dirichlet(np.full(shape[-1], 5.0), shape[:-1])


CASES = {
    "Normal": Case(
        lambda m, s: Normal(m, scale=s),
        [numbers(3), numbers(2, 1, low=0.5, high=2.0)],
        numbers(4, 2, 3, low=-3, high=3),
    ),
    "Normal by log_variance": Case(
        lambda m, v: Normal(m, log_variance=v), [numbers(2, 3), numbers(3)], numbers(4, 2, 3, low=-3, high=3)
    ),
    # x stays on one side of the location, where |x - m| has its kink
    "Laplace": Case(
        lambda m, s: Laplace(m, scale=s),
        [numbers(2, 1), numbers(3, low=0.5, high=2.0)],
        numbers(4, 2, 3, low=1.1, high=4),
    ),
    "Bernoulli": Case(
        lambda logits: Bernoulli(logits=logits), [numbers(2, 3, low=-3, high=3)], numbers(4, 2, 3, low=0)
    ),
    "Categorical": Case(
        lambda logits: Categorical(logits=logits),
        [numbers(2, 3, 4, low=-2, high=2)],
        np.random.default_rng(0).integers(0, 4, (4, 2, 3)),
    ),
    "GumbelSoftmax": Case(
        lambda logits: GumbelSoftmax(logits=logits, temperature=0.7), [numbers(2, 3, 4)], simplex(4, 2, 3, 4)
    ),
    "NormalMixture": Case(
        lambda logits, m, s: NormalMixture(logits=logits, means=m, scales=s),
        [numbers(4), numbers(2, 3, 4, low=-2, high=2), numbers(3, 4, low=0.5, high=1.5)],
        numbers(4, 2, 3, low=-3, high=3),
    ),
}
RESULTS = ("entropy", "mean", "variance", "probabilities", "scale", "log_scale")
has = lambda case, method: method not in case.make(*case.parameters).absent

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
reparameterized = pytest.mark.parametrize(
    "case", [pytest.param(case, id=name) for name, case in CASES.items() if has(case, "rsample")]
)


def results(distribution: Distribution) -> dict[str, Any]:
    """All that the distribution says of itself, without x."""
    names = [name for name in RESULTS if hasattr(type(distribution), name) and name not in distribution.absent]
    return {name: value_of(distribution, name) for name in names}


def value_of(distribution: Distribution, name: str) -> Any:
    value = getattr(distribution, name)
    return value() if callable(value) else value


# --------------------------------------------------------------------------------------------------------------- shapes


@every_case
def test_shapes(case, device):
    case = case.on(device)
    distribution = case.make(*case.parameters)
    last = case.x.shape[3:]
    assert distribution.batch_shape == (2, 3)
    for shape, leading in (((4, 5), (4, 5)), (4, (4,)), ((), ())):
        draws = distribution.sample(shape, rng=Generator(0, device=device))
        assert draws.shape == (*leading, 2, 3, *last)
        assert device_of(draws) == device
    assert distribution.log_prob(case.x).shape == (4, 2, 3)
    assert distribution.log_prob(case.x[:, :1, :1]).shape == (4, 2, 3)
    for name in ("entropy", "mean", "variance"):
        if has(case, name):
            assert results(distribution)[name].shape == (2, 3)


@every_case
@pytest.mark.parametrize("axes", [1, 2])
def test_whole_examples_have_the_sum_of_their_elements_log_probabilities(case, axes, device):
    case = case.on(device)
    distribution = case.make(*case.parameters)
    for x in (case.x, case.x[0], case.x[:, :1, :1]):  # several for each, one for each, and one that broadcasts
        found = distribution.joint_log_prob(x, axes=axes)
        expected = distribution.log_prob(x).sum(axis=tuple(range(-axes, 0)))
        np.testing.assert_allclose(on_host(found), on_host(expected), rtol=1e-12)


@every_case
def test_a_batch_is_its_elements_side_by_side(case):
    last = case.make(*case.parameters)._full_shape[2:]
    parameters = [np.broadcast_to(parameter, (2, 3, *last)) for parameter in case.parameters]
    whole = case.make(*case.parameters)
    for i, j in np.ndindex(2, 3):
        one = case.make(*(parameter[i, j] for parameter in parameters))
        np.testing.assert_allclose(one.log_prob(case.x[:, i, j]), whole.log_prob(case.x)[:, i, j], rtol=1e-12)
        for name, value in results(whole).items():
            full = np.broadcast_to(value, (2, 3, *value.shape[2:]))
            np.testing.assert_allclose(results(one)[name], full[i, j], rtol=1e-12)


def test_a_sum_counts_every_element_where_a_number_serves_all():
    shape = (2, 3)
    for distribution in (Normal(np.zeros(shape), scale=2.0), Laplace(np.zeros(shape), scale=2.0)):
        one = type(distribution)(0.0, scale=2.0)
        assert distribution.entropy().sum() == pytest.approx(6 * one.entropy())
        assert distribution.variance.sum() == pytest.approx(6 * one.variance)
    assert Normal(1.0, scale=np.ones(shape)).mean.sum() == 6.0


# ------------------------------------------------------------------------------------------------------------ gradients


@every_case
def test_gradients_of_log_prob_to_order_two(case, device):
    make = case.through(device)
    if case.x.dtype.kind == "i":
        x = to_device(case.x, device)
        gradcheck(lambda *parameters: make(*parameters).log_prob(x).to("cpu"), case.parameters)
    else:
        gradcheck(lambda x, *parameters: make(*parameters).log_prob(x.to(device)).to("cpu"), [case.x, *case.parameters])


@every_case
def test_gradients_of_moments_and_entropy_to_order_two(case, device):
    make = case.through(device)
    if results(case.make(*case.parameters)):
        gradcheck(
            lambda *parameters: tuple(value.to("cpu") for value in results(make(*parameters)).values()),
            case.parameters,
        )


@reparameterized
def test_gradients_of_draws_to_order_two(case, device):
    make = case.through(device)
    gradcheck(
        lambda *parameters: make(*parameters).rsample(2, rng=Generator(3, device=device)).to("cpu"), case.parameters
    )


@pytest.mark.parametrize("name", ["Normal", "Normal by log_variance", "Laplace", "Bernoulli", "Categorical"])
def test_gradients_of_the_divergence_to_order_two(name, device):
    case, make = CASES[name], CASES[name].through(device)
    # Far enough apart for finite differences: Laplace's formula has |m_p - m_q| in it.
    others = [0.5 * parameter + 2.0 for parameter in case.parameters]
    half = len(others)
    gradcheck(lambda *ps: kl_divergence(make(*ps[:half]), make(*ps[half:])).to("cpu"), [*case.parameters, *others])


# --------------------------------------------------------------------------------------------- arrays, tensors, dtypes


@every_case
def test_tensors_and_arrays_give_the_same(case, device):
    case = case.on(device)
    on_arrays = case.make(*case.parameters)
    on_tensors = case.make(*(mg.tensor(parameter, requires_grad=True) for parameter in case.parameters))
    x = mg.tensor(case.x)
    for expected, obtained in [
        (on_arrays.log_prob(case.x), on_tensors.log_prob(x)),
        *zip(results(on_arrays).values(), results(on_tensors).values(), strict=True),
    ]:
        assert type(expected) is module_of(device).ndarray
        assert isinstance(obtained, mg.Tensor)
        assert obtained.requires_grad
        np.testing.assert_array_equal(on_host(obtained), on_host(expected))
    first, second = (made.sample(5, rng=Generator(0, device=device)) for made in (on_arrays, on_tensors))
    np.testing.assert_array_equal(on_host(first), on_host(second))


@every_case
def test_a_gpu_gives_what_the_cpu_gives(case, gpu_or_double):
    device = gpu_or_double
    there = case.on(device)
    ours, expected = there.make(*there.parameters), case.make(*case.parameters)
    assert ours.dtype == expected.dtype
    for a, b in [
        (ours.log_prob(there.x), expected.log_prob(case.x)),
        (ours.sample(50, rng=Generator(0, device=device)), expected.sample(50, rng=Generator(0))),
        *zip(results(ours).values(), results(expected).values(), strict=True),
    ]:
        assert (device_of(a), a.dtype) == (device, b.dtype)
        np.testing.assert_allclose(on_host(a), b, rtol=1e-12, atol=1e-12)


@every_case
def test_draws_are_data_and_reparameterized_draws_are_not(case, device):
    parameters = [mg.tensor(parameter, device=device, requires_grad=True) for parameter in case.parameters]
    distribution = case.make(*parameters)
    draws = distribution.sample(5, rng=Generator(0, device=device))
    assert type(draws) is module_of(device).ndarray
    if has(case, "rsample"):
        path = distribution.rsample(5, rng=Generator(0, device=device))
        np.testing.assert_array_equal(on_host(path), on_host(draws))
        assert all(g is not None for g in mg.grad(path.sum(), parameters))


@every_case
def test_float32_stays_float32(case, device):
    case = case.on(device)
    narrow = lambda array: array if array.dtype.kind == "i" else array.astype("float32")
    parameters = [mg.tensor(narrow(parameter), requires_grad=True) for parameter in case.parameters]
    for distribution in (case.make(*parameters), case.make(*(parameter.data for parameter in parameters))):
        assert distribution.dtype == np.float32
        for value in (distribution.log_prob(narrow(case.x)), *results(distribution).values()):
            assert value.dtype == np.float32
        if (type(distribution),) * 2 in CLOSED_FORMS:
            assert kl_divergence(distribution, distribution).dtype == np.float32
        if case.x.dtype.kind == "f":
            assert distribution.sample(5, rng=Generator(0, device=device)).dtype == np.float32


@pytest.mark.parametrize("family", [Normal, Laplace])
def test_python_numbers_widen_nothing(family, device):
    narrow, prior = to_device(np.ones((2, 3), "float32"), device), family(0.5, scale=1.5)
    assert prior.sample((2, 3), rng=Generator(0, device=device)).dtype == np.float32
    half_given = [family(narrow, scale=1.5), family(0.5, scale=narrow), family(mg.tensor(narrow), scale=1.5)]
    for distribution in (prior, *half_given):
        assert distribution.log_prob(narrow).dtype == np.float32
        assert kl_divergence(distribution, family(narrow, scale=2.0)).dtype == np.float32
        assert kl_divergence(family(narrow, scale=2.0), distribution).dtype == np.float32
    for value in results(prior).values():
        assert type(value) is float
    for distribution in half_given:
        for name in ("entropy", "mean", "variance"):
            assert results(distribution)[name].dtype == np.float32


# --------------------------------------------------------------------------------------------------------------- errors


missing = [(case, method) for case in CASES.values() for method in case.make(*case.parameters).absent]


@pytest.mark.parametrize(("case", "method"), missing)
def test_what_does_not_exist_says_why(case, method):
    distribution = case.make(*case.parameters)
    with pytest.raises(NotImplementedError) as caught:
        distribution.rsample(rng=Generator(0)) if method == "rsample" else value_of(distribution, method)
    assert str(caught.value) == f"{type(distribution).__name__}.{method}: {distribution.absent[method]}"


def test_a_new_distribution_lacks_what_it_does_not_define():
    class Nothing(Distribution):
        pass

    for method in ("entropy", "mean", "variance"):
        with pytest.raises(NotImplementedError, match=rf"Nothing\.{method}: it is not defined"):
            value_of(Nothing(), method)
    with pytest.raises(NotImplementedError, match=r"Nothing\.rsample"):
        Nothing().sample(rng=Generator(0))
    with pytest.raises(NotImplementedError, match=r"Nothing\.log_prob"):
        Nothing().log_prob(0.0)


zeros = np.zeros


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Normal(zeros(3), scale=np.ones(4)), ValueError, r"Normal: the shapes .* mean \(3,\), scale \(4,\)"),
        (
            lambda: Laplace(zeros((2, 1)), scale=np.ones((3, 1))),
            ValueError,
            r"Laplace: .* location \(2, 1\), scale \(3, 1\)",
        ),
        (lambda: Normal(0.0), ValueError, "neither of scale and log_variance"),
        (lambda: Normal(0.0, scale=1.0, log_variance=0.0), ValueError, "both of scale and log_variance"),
        (lambda: Normal(0.0, scale=0.0), ValueError, "Normal: scale is 0.0; it must be positive"),
        (lambda: Normal(0.0, scale=float("nan")), ValueError, "Normal: scale is nan"),
        (lambda: Laplace(0.0, scale=-1), ValueError, "Laplace: scale is -1; it must be positive"),
        (lambda: GumbelSoftmax(logits=zeros(2), temperature=0.0), ValueError, "GumbelSoftmax: temperature is 0.0"),
        (
            lambda: NormalMixture(logits=zeros(2), means=zeros(2), scales=-1.0),
            ValueError,
            "NormalMixture: scales is -1.0",
        ),
        (
            lambda: Normal([0.0, 1.0], scale=1.0),
            TypeError,
            "Normal: mean is a list; expected a Tensor, an array or a number",
        ),
        (lambda: Normal(np.arange(3), scale=1.0), TypeError, "Normal: mean of int64; expected floating-point values"),
        (
            lambda: Categorical(logits=0.0),
            ValueError,
            r"Categorical: no parameter has a last axis of categories, \(\.\.\., K\)",
        ),
        (lambda: Categorical(logits=np.array(0.0)), ValueError, r"Categorical: .* logits \(\)"),
        (
            lambda: NormalMixture(logits=zeros(1), means=zeros((5, 3)), scales=1.0),
            ValueError,
            r"logits \(1,\) do not list a weight for each of 3 components",
        ),
        (
            lambda: Categorical(logits=zeros(3)).log_prob(zeros(2)),
            TypeError,
            r"x of float64; expected .* in \[0, 3\)",
        ),
        (
            lambda: Categorical(logits=zeros(3)).log_prob(1),
            TypeError,
            r"x of int; expected an array or a Tensor of integers",
        ),
        (
            lambda: Categorical(logits=zeros((2, 3))).log_prob(np.array([0, -1])),
            IndexError,
            r"Categorical\.log_prob: x in \[-1, 0\]; expected integers in \[0, 3\)",
        ),
        (
            lambda: Categorical(logits=zeros((2, 3))).log_prob(mg.tensor([3, 0])),
            IndexError,
            r"Categorical\.log_prob: x in \[0, 3\]; expected integers in \[0, 3\)",
        ),
        (lambda: Categorical(logits=zeros((4, 3))).log_prob(np.zeros(3, int)), IndexError, r"shape"),
        (lambda: Normal(zeros(3), scale=1.0).log_prob(mg.zeros(4)), ValueError, r"subtract: .*\(4,\)"),
    ],
)
def test_bad_input_is_refused_with_words(make, error, message):
    with pytest.raises(error, match=message):
        make()
