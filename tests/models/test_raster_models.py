"""PixelCNN and gated PixelCNN: what each conditional sees, exact probabilities, and one sample by two ways."""

import functools
import itertools

import numpy as np
import pytest
from devices import on_host
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import minigen as mg
from minigen import nn
from minigen.engine import no_grad
from minigen.models import (
    BernoulliConditional,
    CategoricalConditional,
    GatedPixelCNN,
    LogisticMixtureConditional,
    PixelCNN,
)
from minigen.models.autoregressive import PlainStepper
from minigen.models.raster import layer
from minigen.random import Generator

MODELS = {
    "pixelcnn": functools.partial(PixelCNN, features=12, blocks=2),
    "gated": functools.partial(GatedPixelCNN, features=6, layers=3),
}
EACH = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
CONDITIONALS = {
    "bernoulli": BernoulliConditional(),
    "categorical": CategoricalConditional(4),
    "logistics": LogisticMixtureConditional(4, components=2),
}


def widened(model):
    """The same model in float64."""
    for tensor in [*model.parameters(), *model.named_buffers().values()]:
        tensor.data = tensor.data.astype(np.float64)
    return model


def every_image(size, levels):
    """All images of a size, (L^D, *size)."""
    return np.array(list(itertools.product(range(levels), repeat=int(np.prod(size)))), float).reshape(-1, *size)


# ------------------------------------------------------------------------------------------------------ what sees what


def all_seeing(model):
    """The model with small positive weights: nothing cancels and no unit is off, so what is connected is seen."""
    rng = np.random.default_rng(0)
    for parameter in widened(model).parameters():
        parameter.data = rng.uniform(0.05, 0.15, parameter.shape)
    return model


def seen_by(model, site):
    bright = np.full((1, *model.size), model.conditional.levels - 1.0)
    return model.dependence(bright, site) > 0  # (H, W, C)


def before(size, site):
    """Which sites come before one, (H, W, C)."""
    return np.arange(np.prod(size)).reshape(size) < site


def reached(size, pixel, *, first, others, layers):
    """The pixels that raster masks lead to, step by step: one step of mask A, then so many of mask B."""
    seen = np.zeros(size, bool)

    def steps(places, kernel, kind):
        taps = [(i - kernel // 2, j - kernel // 2) for i, j in np.argwhere(nn.tap_mask((kernel, kernel), kind=kind))]
        return {(r + i, c + j) for (r, c) in places for (i, j) in taps if 0 <= r + i < size[0] and 0 <= c + j < size[1]}

    places = {pixel}
    for _ in range(layers):
        places = steps(places, others, "B")
    for place in steps(places, first, "A"):
        seen[place] = True
    return seen


def reached_by_stacks(size, pixel, *, first, others, layers):
    """The same for the two stacks of the gated one, by its equations: h(l) sees h(l-1) in its row and a(l) at its pixel."""

    def rows_above(place, kernel, kind):
        last = 0 if kind == "B" else -1
        steps = itertools.product(range(-(kernel // 2), last + 1), range(-(kernel // 2), kernel // 2 + 1))
        return [(place[0] + i, place[1] + j) for i, j in steps]

    def inside(places):
        return {(r, c) for r, c in places if 0 <= r < size[0] and 0 <= c < size[1]}

    @functools.cache
    def vertical(layer, place):
        kernel, kind = (first, "A") if layer == 0 else (others, "B")
        around = inside(rows_above(place, kernel, kind))
        return frozenset(around) if layer == 0 else frozenset().union(*(vertical(layer - 1, p) for p in around))

    @functools.cache
    def horizontal(layer, place):
        kernel = first if layer == 0 else others
        left = inside((place[0], place[1] + j) for j in range(-(kernel // 2), 0 if layer == 0 else 1))
        own = frozenset(left) if layer == 0 else frozenset().union(*(horizontal(layer - 1, p) for p in left))
        return own | vertical(layer, place)

    seen = np.zeros(size, bool)
    for place in horizontal(layers - 1, pixel):
        seen[place] = True
    return seen


ARCHITECTURES = {
    "first": st.sampled_from([3, 5, 7]), "others": st.sampled_from([1, 3, 5]), "layers": st.integers(0, 3),
    "colours": st.sampled_from([1, 2, 3]), "site": st.integers(0, 29),
}  # fmt: skip


@settings(max_examples=15)
@given(**ARCHITECTURES)
def test_a_pixelcnn_sees_exactly_what_its_masks_lead_to(first, others, layers, colours, site):
    model = all_seeing(PixelCNN(
        (5, 6, colours), BernoulliConditional(), features=2 * colours, blocks=layers, kernel_size=first, block_kernel_size=others,
        rng=Generator(0),
    ))  # fmt: skip
    site = site * colours + site % colours
    pixel = divmod(site // colours, 6)
    expected = np.repeat(reached((5, 6), pixel, first=first, others=others, layers=layers)[..., None], colours, axis=2)
    expected[pixel] = np.arange(colours) < site % colours
    np.testing.assert_array_equal(seen_by(model, site), expected)
    assert not (expected & ~before(model.size, site)).any()


@settings(max_examples=15)
@given(**ARCHITECTURES)
def test_a_gated_pixelcnn_sees_exactly_what_its_stacks_lead_to(first, others, layers, colours, site):
    model = all_seeing(GatedPixelCNN(
        (5, 6, colours), BernoulliConditional(), features=colours, layers=layers + 1, kernel_size=first, layer_kernel_size=others,
        rng=Generator(0),
    ))  # fmt: skip
    site = site * colours + site % colours
    pixel = divmod(site // colours, 6)
    reach = reached_by_stacks((5, 6), pixel, first=first, others=others, layers=layers + 1)
    expected = np.repeat(reach[..., None], colours, axis=2)
    expected[pixel] = np.arange(colours) < site % colours
    np.testing.assert_array_equal(seen_by(model, site), expected)
    assert not (expected & ~before(model.size, site)).any()


def test_a_plain_pixelcnn_has_a_blind_spot_however_deep_and_a_gated_one_has_none():
    size, site = (7, 7, 1), 5 * 7 + 2
    plain = PixelCNN(size, BernoulliConditional(), features=2, blocks=9, kernel_size=3, rng=Generator(0))
    gated = GatedPixelCNN(size, BernoulliConditional(), features=1, layers=9, kernel_size=3, rng=Generator(0))
    seen = seen_by(all_seeing(plain), site)[..., 0]
    # A step to the right costs a step up: of row 5 - k, columns beyond 2 + k are out of sight.
    blind = np.array([[column > 2 + (5 - row) for column in range(7)] for row in range(7)]) & before(size, site)[..., 0]
    assert blind.sum() == 3 + 2 + 1
    np.testing.assert_array_equal(seen, before(size, site)[..., 0] & ~blind)
    np.testing.assert_array_equal(seen_by(all_seeing(gated), site), before(size, site))


# ------------------------------------------------------------------------------------------------------ probabilities


@EACH
@pytest.mark.parametrize("conditional", CONDITIONALS.values(), ids=CONDITIONALS)
@pytest.mark.parametrize("classes", [None, 2])
def test_probabilities_of_all_images_sum_to_one(make, conditional, classes):
    size = (2, 2, 1) if conditional.levels == 2 else (1, 2, 1)
    x = every_image(size, conditional.levels)
    assert len(x) == 16
    model = widened(make(size, conditional, classes=classes, rng=Generator(0)))
    for y in range(classes or 1):
        condition = None if classes is None else np.full(16, y)
        with no_grad():
            log_p = model.log_prob(x, condition).data
        assert abs(np.exp(log_p).sum() - 1) < 1e-10
        assert log_p.std() > 1e-3


@EACH
def test_probabilities_of_all_coloured_pixels_sum_to_one(make):
    model = widened(make((1, 1, 3), CategoricalConditional(4), rng=Generator(0)))
    with no_grad():
        assert abs(np.exp(model.log_prob(every_image((1, 1, 3), 4)).data).sum() - 1) < 1e-10


@EACH
def test_samples_have_the_enumerated_distribution(make):
    model, n = make((2, 2, 1), BernoulliConditional(), rng=Generator(0)), 4000
    for parameter in model.parameters():
        parameter.data *= 2.0  # far from uniform
    x = every_image(model.size, 2).astype(np.float32)
    with no_grad():
        p = np.exp(model.log_prob(x).data.astype(np.float64))
    drawn = model.sample(n, rng=Generator(1)).reshape(n, -1) @ np.array([8, 4, 2, 1])
    counts = np.bincount(drawn.astype(int), minlength=16)
    assert p.max() > 0.08
    assert chisquare(counts, n * p / p.sum()).pvalue > 1e-3


@EACH
def test_classes_follow_from_bayes_rule(make):
    model = make((2, 2, 1), BernoulliConditional(), classes=3, rng=Generator(0))
    x, prior = every_image(model.size, 2).astype(np.float32)[:5], np.array([0.2, 0.5, 0.3])
    with no_grad():
        likelihoods = np.stack([np.exp(model.log_prob(x, np.full(5, y)).data) for y in range(3)], axis=1)
    for given_prior, weights in ((None, np.ones(3)), (np.log(prior), prior)):
        expected = likelihoods * weights / (likelihoods * weights).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(np.exp(model.class_log_probabilities(x, log_prior=given_prior)), expected, rtol=1e-5)
    assert np.ptp(likelihoods, axis=1).max() > 1e-4


# ------------------------------------------------------------------------------------------------------ sampling

SETTINGS = {
    "gated": st.booleans(), "colours": st.sampled_from([1, 2, 3]), "depth": st.integers(1, 3), "kernel": st.sampled_from([3, 5, 7]),
    "others": st.sampled_from([1, 3, 5]), "n": st.integers(1, 9), "size": st.tuples(st.integers(1, 5), st.integers(1, 5)),
    "kind": st.sampled_from(sorted(CONDITIONALS)), "conditioned": st.sampled_from([None, "classes", "embeddings"]),
    "seed": st.integers(0, 99),
}  # fmt: skip


def random_model(gated, colours, depth, kernel, others, n, size, kind, conditioned, seed):
    """A model with weights so large that its conditionals are far from uniform, and a condition for n examples."""
    rng = Generator(seed)
    settings = {"classes": 3 if conditioned == "classes" else None, "kernel_size": kernel, "rng": rng}
    if gated:
        settings["embedding_features"] = 2 if conditioned == "embeddings" else None
        settings |= {"features": 5 * colours, "layers": depth, "layer_kernel_size": others}
    else:
        settings |= {"features": 6 * colours, "blocks": depth - 1, "block_kernel_size": others}
    model = (GatedPixelCNN if gated else PixelCNN)((*size, colours), CONDITIONALS[kind], **settings)
    for parameter in model.parameters():
        parameter.data *= 1.5
    condition = None
    if model.classes:
        condition = np.arange(n) % 3
    elif model.embedding_features:
        condition = rng.normal((n, 2))
    return model, condition


@settings(max_examples=20)
@given(**SETTINGS)
def test_the_cached_stepper_draws_the_samples_of_the_plain_one(**architecture):
    model, condition = random_model(**architecture)
    n, rng = architecture["n"], architecture["seed"]
    plain = model.sample(n, rng=Generator(rng), condition=condition, cached=False)
    np.testing.assert_array_equal(model.sample(n, rng=Generator(rng), condition=condition), plain)


@settings(max_examples=10)
@given(**SETTINGS)
def test_log_prob_is_the_sum_of_the_conditionals_of_the_stepper(**architecture):
    model, condition = random_model(**architecture)
    x = Generator(1).integers(0, model.conditional.levels, (architecture["n"], *model.size)).astype(np.float32)
    flat = x.reshape(len(x), -1)
    with no_grad():
        stepper = model.stepper(len(x), condition)
        each = [model.conditional.log_prob(stepper.parameters(flat, i), flat[:, i]) for i in range(model.sites)]
        np.testing.assert_allclose(sum(each), model.log_prob(x, condition).data, rtol=1e-4, atol=1e-4)


@EACH
def test_in_float64_both_steppers_agree_to_rounding(make):
    model = widened(make((4, 5, 3), LogisticMixtureConditional(256, components=2), rng=Generator(0)))
    x = np.floor(256 * np.random.default_rng(0).uniform(size=(2, 60)))
    with no_grad():
        cached, plain = model.stepper(2), PlainStepper(model, None)
        for i in range(60):
            np.testing.assert_allclose(cached.parameters(x, i), plain.parameters(x, i), rtol=1e-10, atol=1e-12)


@EACH
def test_samples_are_the_same_on_every_device(make, device):
    model = make((3, 4, 1), BernoulliConditional(), classes=2, rng=Generator(0))
    here = model.sample(3, rng=Generator(1), condition=np.array([0, 1, 1]))
    there = model.to(device).sample(
        3, rng=Generator(1, device=device), condition=mg.tensor(np.array([0, 1, 1]), device=device).data
    )
    np.testing.assert_array_equal(on_host(there), here)


@EACH
def test_a_completion_keeps_what_is_known_and_draws_the_rest_given_it(make):
    # Of 2 x 2 bits the first row is known: the second must have the conditional distribution, by enumeration.
    model, n = make((2, 2, 1), BernoulliConditional(), rng=Generator(3)), 4000
    for parameter in model.parameters():
        parameter.data *= 2.0
    x = np.zeros((n, 2, 2, 1), np.float32)
    x[:, 0, 1] = 1.0
    known = np.array([True, False])[:, None, None]
    done = model.complete(x, known, rng=Generator(1))
    np.testing.assert_array_equal(done[:, 0], x[:, 0])
    images = every_image(model.size, 2).astype(np.float32)
    fitting = images[(images[:, 0] == x[0, 0]).all(axis=(1, 2))]
    with no_grad():
        p = np.exp(model.log_prob(fitting).data.astype(np.float64))
    counts = np.bincount((done[:, 1].reshape(n, 2) @ np.array([2, 1])).astype(int), minlength=4)
    assert chisquare(counts, n * p / p.sum()).pvalue > 1e-3
    np.testing.assert_array_equal(
        model.complete(x[:50], known, rng=Generator(2)), model.complete(x[:50], known, rng=Generator(2), cached=False)
    )


@pytest.mark.slow
@EACH
def test_a_model_learns_what_it_is_shown(make):
    # Two images, equally likely: log 2 nats are what is left to know.
    rng = Generator(0)
    x = np.zeros((2, 4, 4, 1), np.float32)
    x[0, ::2] = x[1, :, ::2] = 1.0
    model = make((4, 4, 1), BernoulliConditional(), rng=rng)
    optimizer = mg.optim.Adam(model, learning_rate=5e-3)
    for _ in range(400):
        optimizer.zero_grad()
        loss, _ = model.loss(x)
        loss.backward()
        optimizer.step()
    assert np.log(2) - 1e-3 < loss.item() < np.log(2) + 0.05
    drawn = model.sample(20, rng=rng)
    assert ((drawn[:, None] == x).all(axis=(2, 3, 4)).any(axis=1)).mean() > 0.9


# ------------------------------------------------------------------------------------------------------ bad input


@EACH
def test_a_condition_must_fit_the_model(make):
    x = np.zeros((2, 3, 3, 1), np.float32)
    free, conditioned = (make((3, 3, 1), BernoulliConditional(), classes=k, rng=Generator(0)) for k in (None, 4))
    with pytest.raises(ValueError, match="this model is of p"):
        free.log_prob(x, np.array([0, 1]))
    for call in (conditioned.log_prob, conditioned.predict):
        with pytest.raises(ValueError, match=r"no condition is given, expected classes from 0 to 3, \(2,\)"):
            call(x)
    with pytest.raises(ValueError, match=r"classes lie in \[0, 4\], expected them in \[0, 3\]"):
        conditioned.log_prob(x, np.array([0, 4]))
    with pytest.raises(ValueError, match=r"the condition has shape \(3,\)"):
        conditioned.sample(2, rng=Generator(0), condition=np.array([0, 1, 2]))
    with pytest.raises(TypeError, match="classes are of float64, expected integers"):
        conditioned.sample(2, rng=Generator(0), condition=np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="has no classes"):
        free.class_log_probabilities(x)
    for shape in ((2,), (4, 1)):
        with pytest.raises(ValueError, match=r"log_prior has shape .*, expected \(4,\), one number for each class"):
            conditioned.class_log_probabilities(x, log_prior=np.zeros(shape))
    embedded = GatedPixelCNN(
        (3, 3, 1), BernoulliConditional(), features=2, layers=1, embedding_features=5, rng=Generator(0)
    )
    with pytest.raises(ValueError, match=r"the condition has shape \(2, 4\), expected embeddings, \(2, 5\)"):
        embedded.log_prob(x, np.zeros((2, 4), np.float32))
    with pytest.raises(TypeError, match="embeddings are of float64, expected float32, as the parameters are"):
        embedded.sample(2, rng=Generator(0), condition=np.zeros((2, 5)))


@EACH
def test_images_must_fit_the_model(make):
    model = make((3, 3, 1), BernoulliConditional(), rng=Generator(0))
    with pytest.raises(ValueError, match=r"x has shape \(2, 3, 4, 1\), expected \(N, 3, 3, 1\)"):
        model.log_prob(np.zeros((2, 3, 4, 1), np.float32))
    with pytest.raises(ValueError, match=r"1 of 18 values are not levels, the first is 0\.5"):
        model.log_prob(np.array([0.5, *[1.0] * 17], np.float32).reshape(2, 3, 3, 1))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (PixelCNN, {"features": 4}, r"features = 4 a multiple of 6"),
        (PixelCNN, {"features": 6, "head_features": 4}, r"head_features = 4 one of 3"),
        (PixelCNN, {"features": 6, "kernel_size": 1}, r"PixelCNN: kernel_size = 1 must be odd and at least 3"),
        (
            PixelCNN,
            {"features": 6, "block_kernel_size": 4},
            r"PixelCNN: block_kernel_size = 4 must be odd and at least 1",
        ),
        (
            GatedPixelCNN,
            {"features": 3, "kernel_size": 4},
            r"GatedPixelCNN: kernel_size = 4 must be odd and at least 3",
        ),
        (GatedPixelCNN, {"features": 4}, r"features = 4 .* multiples of 3"),
        (GatedPixelCNN, {"features": 3, "layers": 0}, r"layers = 0 must be at least 1"),
        (GatedPixelCNN, {"features": 3, "classes": 2, "embedding_features": 2}, r"expected one of them at most"),
    ],
)
def test_settings_out_of_range_are_named(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind((4, 4, 3), BernoulliConditional(), rng=Generator(0), **settings)


def test_a_plain_convolution_that_sees_what_comes_later_is_no_layer():
    with pytest.raises(ValueError, match="layer: a plain convolution of 3 x 3 sees pixels to come"):
        layer(nn.Conv2d(2, 4, kernel_size=3, rng=Generator(0)), "image", "seen")
