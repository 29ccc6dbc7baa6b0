"""Masks of an object: the judgement against brute force, the loss by hand, and what the skip connections carry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from scipy.special import expit, xlogy

import minigen as mg
from minigen.data import clutter, load_digits
from minigen.models import Segmenter, intersection_over_union
from minigen.optim import Adam
from minigen.random import Generator

SMALL = {"size": (8, 8), "widths": (3, 4, 5)}


def pictures(n=4, size=8):
    return clutter(load_digits().unit()[:n], size=size, fragments=1, rng=Generator(0))


@given(pair=arrays(bool, (2, 3, 2, 4)))
@settings(max_examples=20)
def test_intersection_over_union_counts_pixels(pair):
    found, masks = pair
    for one, p, m in zip(intersection_over_union(found, masks), found, masks, strict=True):
        p, m = ({tuple(place) for place in np.argwhere(pixels)} for pixels in (p, m))
        assert one == (len(p & m) / len(p | m) if p | m else 1.0)


def test_another_shape_is_not_judged():
    with pytest.raises(ValueError, match=r"found \(2, 4\) and masks \(2, 4, 1\)"):
        intersection_over_union(np.ones((2, 4)), np.ones((2, 4, 1)))


@pytest.mark.parametrize("skips", [True, False])
def test_the_loss_is_the_cross_entropy_summed_over_pixels(skips):
    model, (images, masks) = Segmenter(**SMALL, skips=skips, rng=Generator(0)), pictures()
    loss, terms = model.loss((images, masks))
    q = expit(model(images).data.astype(np.float64))
    by_hand = -(xlogy(masks, q) + xlogy(1 - masks, 1 - q)).sum(axis=(1, 2, 3)).mean()
    assert loss.item() == terms["cross_entropy"].item() == pytest.approx(by_hand, rel=1e-5)
    np.testing.assert_allclose(model.predict(images, batch_size=3), q, rtol=1e-5)
    loss.backward()
    assert all(np.abs(parameter.grad.data).max() > 0 for parameter in model.parameters())


def test_only_skips_tell_pixels_of_one_block_apart():
    """Where the way up looks at no neighbours, the network without skips makes the 2 x 2 pixels of a block from one pooled value."""
    for skips in (True, False):
        model = Segmenter(size=(8, 8), widths=(8, 8), skips=skips, rng=Generator(0))
        for block in model.up:  # the centre of each kernel only: no neighbour is looked at on the way up
            for layer in block:
                if hasattr(layer, "weight"):
                    centre = np.zeros_like(layer.weight.data)
                    centre[1, 1] = layer.weight.data[1, 1]
                    layer.weight.assign(centre)
        blocks = model(pictures().images).data.reshape(4, 4, 2, 4, 2)
        differ = np.ptp(blocks, axis=(2, 4)).max()
        assert differ > 1e-5 if skips else differ < 1e-7


def test_it_learns_a_few_pictures():
    images, masks = pictures(16)
    model = Segmenter(size=(8, 8), widths=(8, 16), rng=Generator(0))
    optimizer = Adam(model, learning_rate=1e-2)
    before = model.loss((images, masks))[0].item()
    for _ in range(40):
        optimizer.zero_grad()
        loss, _ = model.loss((images, masks))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * before


def test_it_says_the_same_on_another_device(gpu_or_double):
    model, (images, masks) = Segmenter(**SMALL, rng=Generator(0)), pictures()
    expected = model.predict(images), model.loss((images, masks))[0].item()
    model.to(gpu_or_double)
    loss, _ = model.loss(tuple(mg.tensor(part, device=gpu_or_double) for part in (images, masks)))
    np.testing.assert_allclose(model.predict(images), expected[0], rtol=1e-4)
    assert loss.item() == pytest.approx(expected[1], rel=1e-4)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError, match=r"Segmenter: images of size \(8, 6\) and widths \(2, 2, 2\); .* multiples of 4"
    ):
        Segmenter(size=(8, 6), widths=(2, 2, 2), rng=Generator(0))
    with pytest.raises(ValueError, match="at least one width"):
        Segmenter(size=(8, 8), widths=(), rng=Generator(0))
    with pytest.raises(ValueError, match=r"images of shape \(1, 12, 8, 1\), expected \(N, 8, 8, C\)"):
        Segmenter(**SMALL, rng=Generator(0)).predict(np.zeros((1, 12, 8, 1), "float32"))
