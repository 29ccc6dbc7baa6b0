"""MADE: masks that leave exactly the sites before, distributions of one ordering and of many, samples by either stepper."""

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen as mg
from minigen.backend import to_device
from minigen.models import MADE, BeliefNet, OrderingMixture, ordering_mixture
from minigen.models.conditionals import CategoricalConditional
from minigen.random import Generator
from minigen.testing import gradcheck

from .enumeration import all_examples, before, conditionals_of_the_stepper, support, with_random_weights

LAYERS = st.lists(st.integers(1, 6), max_size=3).map(tuple)
ORDERING = st.sampled_from(["natural", "random"])


def tiny(size=(2, 2, 1), seed=0, scale=1.0, **settings):
    return with_random_weights(MADE(size, rng=Generator(seed), **({"hidden": (5,)} | settings)), seed, scale)


# ------------------------------------------------------------------------------------------------------------ what sees what


@given(sites=st.integers(1, 6), hidden=LAYERS, ordering=ORDERING, direct=st.booleans(), seed=st.integers(0, 99))
def test_no_site_sees_itself_or_what_comes_after_it(sites, hidden, ordering, direct, seed):
    made = tiny((sites,), seed, hidden=hidden, ordering=ordering, direct=direct)
    seen = support(made, np.random.default_rng(seed).standard_normal((1, sites)))
    allowed = before(made.order)
    assert not (seen & ~allowed).any()
    if direct or not hidden:
        np.testing.assert_array_equal(seen, allowed)


@given(sites=st.integers(1, 5), depth=st.integers(1, 3), ordering=ORDERING, seed=st.integers(0, 99))
def test_with_many_units_each_site_sees_all_sites_before_it(sites, depth, ordering, seed):
    made = tiny((sites,), seed, hidden=(150,) * depth, ordering=ordering)
    x = np.random.default_rng(seed).standard_normal((1, sites))
    np.testing.assert_array_equal(support(made, x), before(made.order))


@given(sites=st.integers(2, 6), hidden=LAYERS, seed=st.integers(0, 99))
def test_every_hidden_unit_is_of_use_to_some_site(sites, hidden, seed):
    made = MADE((sites,), hidden=hidden, rng=Generator(seed))
    for degrees, below in zip(made.degrees[1:], made.degrees, strict=False):
        assert below.data.min() <= degrees.data.min()  # it sees something
        assert degrees.data.max() <= sites - 2  # and something comes after what it sees


def test_the_natural_order_is_that_of_memory_and_a_random_one_is_another():
    assert MADE((9,), hidden=(4,), rng=Generator(0)).order.tolist() == list(range(9))
    order = MADE((9,), hidden=(4,), ordering="random", rng=Generator(0)).order
    assert order.tolist() != sorted(order.tolist()) == list(range(9))


# ------------------------------------------------------------------------------------------------------------ distributions


@given(hidden=LAYERS, ordering=ORDERING, direct=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=15)
def test_probabilities_of_all_bits_sum_to_one(hidden, ordering, direct, seed):
    made = tiny((2, 2, 1), seed, 2.0, hidden=hidden, ordering=ordering, direct=direct)
    assert abs(np.exp(made.log_prob(all_examples((2, 2, 1), 2)).detach().numpy()).sum() - 1) < 1e-10


@given(hidden=LAYERS, ordering=ORDERING, seed=st.integers(0, 99))
@settings(max_examples=15)
def test_probabilities_of_all_images_of_four_levels_sum_to_one(hidden, ordering, seed):
    made = tiny((1, 2, 1), seed, 2.0, hidden=hidden, ordering=ordering, conditional=CategoricalConditional(4))
    assert abs(np.exp(made.log_prob(all_examples((1, 2, 1), 4)).detach().numpy()).sum() - 1) < 1e-10


def test_without_a_hidden_layer_it_is_a_belief_net():
    made, net = tiny((2, 3, 1), hidden=()), BeliefNet((2, 3, 1))
    net = with_random_weights(net, 1)
    net.weight.data, net.bias.data = made.out.weight.data, made.out.bias.data
    x = all_examples((2, 3, 1), 2)
    np.testing.assert_allclose(on_host(made.log_prob(x)), on_host(net.log_prob(x)), rtol=1e-13)


@given(hidden=LAYERS, ordering=ORDERING, direct=st.booleans(), levels=st.integers(2, 3), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_log_prob_is_the_sum_of_the_steppers_conditionals(hidden, ordering, direct, levels, seed):
    made = tiny((4,), seed, hidden=hidden, ordering=ordering, direct=direct, conditional=CategoricalConditional(levels))
    x = all_examples((4,), levels)
    np.testing.assert_allclose(conditionals_of_the_stepper(made, x), on_host(made.log_prob(x)), rtol=1e-12)


@given(
    n=st.integers(0, 5), size=st.sampled_from([(1,), (7,), (3, 2, 1), (2, 2, 3)]), hidden=LAYERS, ordering=ORDERING,
    direct=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=15)
def test_plain_and_cached_samples_are_the_same(n, size, hidden, ordering, direct, seed, device):
    made = MADE(size, hidden=hidden, ordering=ordering, direct=direct, rng=Generator(seed, device=device))
    plain, cached = (made.sample(n, rng=Generator(seed, device=device), cached=cached) for cached in (False, True))
    np.testing.assert_array_equal(on_host(plain), on_host(cached))


def test_a_sample_computes_each_hidden_unit_once(monkeypatch):
    computed = []
    relu = mg.ops.relu
    monkeypatch.setattr(mg.ops, "relu", lambda x: computed.append(x.shape) or relu(x))
    MADE((30,), hidden=(20, 10), rng=Generator(0)).sample(3, rng=Generator(1))
    assert sum(units for _, units in computed) == 20 + 10


def test_gradients(device):
    made = tiny((4,), hidden=(6,), ordering="random", direct=True).to(device)
    names = list(made.named_parameters())
    owners = [
        (made.layers[0], "weight"),
        (made.layers[0], "bias"),
        (made.out, "weight"),
        (made.out, "bias"),
        (made.direct, "weight"),
    ]
    assert len(names) == len(owners)
    bits = to_device(all_examples((4,), 2), device)

    def log_prob(*parameters):
        for (owner, name), parameter in zip(owners, parameters, strict=True):
            setattr(owner, name, parameter.to(device))
        return mg.sum(made.log_prob(bits)).to("cpu")

    gradcheck(log_prob, [on_host(p).copy() for p in made.parameters()])


def test_a_checkpoint_holds_the_order_and_the_masks():
    one, other = (MADE((6,), hidden=(5,), ordering="random", rng=Generator(seed)) for seed in (0, 1))
    other.load_state(one.state())
    x = all_examples((6,), 2).astype(np.float32)
    assert one.order.tolist() == other.order.tolist()
    np.testing.assert_array_equal(on_host(one.log_prob(x)), on_host(other.log_prob(x)))
    np.testing.assert_array_equal(one.sample(5, rng=Generator(2)), other.sample(5, rng=Generator(2)))


@pytest.mark.parametrize("wrong", [{"hidden": (3, 0)}, {"ordering": "spiral"}])
def test_empty_layers_and_unknown_orderings_are_refused(wrong):
    with pytest.raises(
        ValueError, match=r"hidden = .* must be at least 1 each, and ordering = .* one of natural, random"
    ):
        MADE((4,), rng=Generator(0), **({"hidden": (3,)} | wrong))


# ------------------------------------------------------------------------------------------------------------ many orderings


def mixture_of(orderings, seed=0, size=(2, 2, 1), **settings):
    model = ordering_mixture(
        size, orderings=orderings, rng=Generator(seed), **({"hidden": (5,), "ordering": "random"} | settings)
    )
    return with_random_weights(model, seed, 2.0)


def test_a_mixture_is_the_mean_of_whole_densities_and_sums_to_one():
    mixture, x = mixture_of(5), all_examples((2, 2, 1), 2)
    p = np.exp(on_host(mixture.log_prob(x)))
    each = [np.exp(on_host(model.log_prob(x))) for model in mixture.models]
    np.testing.assert_allclose(p, np.mean(each, axis=0), rtol=1e-12)
    assert abs(p.sum() - 1) < 1e-10
    assert np.abs(np.array(each) - p).max() > 1e-3  # they are not all the same


def test_the_orderings_share_their_parameters():
    one, many = (mixture_of(m) for m in (1, 6))
    assert [p.shape for p in one.parameters()] == [p.shape for p in many.parameters()]
    assert len({tuple(model.order) for model in many.models}) > 1
    natural = mixture_of(6, ordering="natural")
    assert {tuple(model.order) for model in natural.models} == {(0, 1, 2, 3)}
    assert len({model.degrees[1].data.tobytes() for model in natural.models}) > 1


def test_a_mixture_of_one_is_that_model():
    mixture, x = mixture_of(1), all_examples((2, 2, 1), 2)
    np.testing.assert_allclose(on_host(mixture.log_prob(x)), on_host(mixture.models[0].log_prob(x)), rtol=1e-13)


@given(n=st.integers(0, 6), orderings=st.integers(1, 4), direct=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=10)
def test_plain_and_cached_samples_of_a_mixture_are_the_same(n, orderings, direct, seed, device):
    mixture = ordering_mixture(
        (3, 2, 1),
        orderings=orderings,
        hidden=(5, 4),
        ordering="random",
        direct=direct,
        rng=Generator(seed, device=device),
    )
    plain, cached = (mixture.sample(n, rng=Generator(seed, device=device), cached=cached) for cached in (False, True))
    np.testing.assert_array_equal(on_host(plain), on_host(cached))


def test_samples_of_a_mixture_are_of_the_mixture():
    mixture, n = mixture_of(3, size=(4,)), 20_000
    p = np.exp(on_host(mixture.log_prob(all_examples((4,), 2))))
    count = np.bincount((mixture.sample(n, rng=Generator(0)) @ [8, 4, 2, 1]).astype(int), minlength=16)
    likely = p * n >= 5
    assert ((count - p * n) ** 2 / (p * n))[likely].sum() < likely.sum() + 5 * np.sqrt(2 * likely.sum())


def test_a_completion_keeps_what_is_known():
    mixture = mixture_of(3, size=(6,))
    x = (np.random.default_rng(0).random((50, 6)) < 0.5).astype(np.float32)
    known = np.array([True, False, True, True, False, False])
    steps = list(mixture.fill(drawn := x.copy(), known, rng=Generator(0)))
    assert steps == list(range(1, 7))
    np.testing.assert_array_equal(drawn[:, known], x[:, known])
    assert (drawn[:, ~known] != x[:, ~known]).any()


def test_what_is_computed_while_samples_are_drawn_is_recorded():
    drawing = mixture_of(3).fill(np.zeros((5, 2, 2, 1), np.float32), rng=Generator(0))
    w = mg.tensor(1.0, requires_grad=True)
    for _ in range(2):
        next(drawing)
        assert (w * w).requires_grad
    del drawing
    assert (w * w).requires_grad


def test_the_loss_of_a_mixture_is_that_of_one_ordering_and_on_average_a_bound():
    mixture = mixture_of(4)
    x = all_examples((2, 2, 1), 2)
    each = [model.loss(x)[0].item() for model in mixture.models]
    rng = Generator(0)
    found = {round(mixture.loss(x, rng=rng)[0].item(), 9) for _ in range(40)}
    assert found == {round(value, 9) for value in each}
    assert -on_host(mixture.log_prob(x)).mean() <= np.mean(each)
    with pytest.raises(ValueError, match="an ordering is drawn for each batch: rng="):
        mixture.loss(x)


def test_what_no_mixture_can_be_made_of_is_refused():
    with pytest.raises(ValueError, match="0 models of 0 kinds"):
        OrderingMixture([])
    with pytest.raises(ValueError, match="2 models of 2 kinds"):
        OrderingMixture([tiny((2,)), tiny((3,))])
    with pytest.raises(ValueError, match="orderings = 0 must be at least 1"):
        mixture_of(0)
    with pytest.raises(NotImplementedError, match="a mixture has no one conditional for a site"):
        mixture_of(2).predict(np.zeros((1, 2, 2, 1)))
    with pytest.raises(NotImplementedError, match="a mixture has several orders"):
        mixture_of(2).order  # noqa: B018
    with pytest.raises(ValueError, match=r"OrderingMixture.fill: x has shape \(2, 5\), expected \(N, 2, 2, 1\)"):
        next(mixture_of(2).fill(np.zeros((2, 5)), rng=Generator(0)))
    with pytest.raises(ValueError, match="there is a condition"):
        mixture_of(2).log_prob(np.zeros((1, 2, 2, 1)), np.zeros(1, int))
