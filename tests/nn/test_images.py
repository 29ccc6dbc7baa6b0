"""Layers of images: each the operation that it names, with its settings; Flatten by hand."""

import sys

import numpy as np
import pytest
from devices import on_host
from doubles import strict_cupy

import minigen as mg
from minigen import nn

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 4, 8)).astype(np.float32)

LAYERS = [
    (nn.MaxPool2d(2), lambda x: mg.max_pool2d(x, kernel_size=2)),
    (nn.MaxPool2d((3, 2), stride=(2, 1), padding=1), lambda x: mg.max_pool2d(x, kernel_size=(3, 2), stride=(2, 1), padding=1)),
    (nn.AvgPool2d(2), lambda x: mg.avg_pool2d(x, kernel_size=2)),
    (
        nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
        lambda x: mg.avg_pool2d(x, kernel_size=3, stride=2, padding=1, count_include_pad=False),
    ),
    (nn.Upsample2d(2), lambda x: mg.upsample2d(x, factor=2, mode="nearest")),
    (nn.Upsample2d(3, mode="bilinear"), lambda x: mg.upsample2d(x, factor=3, mode="bilinear")),
    (nn.PixelShuffle(2), lambda x: mg.pixel_shuffle(x, factor=2)),
    (nn.Flatten(), lambda x: mg.reshape(x, shape=(2, -1))),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "op"), LAYERS, ids=[type(layer).__name__ for layer, _ in LAYERS])
def test_a_layer_is_its_operation(layer, op, device):
    x = mg.tensor(IMAGES, device=device, requires_grad=True)
    y, expected = layer(x), op(x)
    assert (y.dtype, y.device) == (np.float32, device)
    np.testing.assert_array_equal(on_host(y), on_host(expected))
    mg.sum(y * y).backward()
    np.testing.assert_array_equal(on_host(x.grad), on_host(mg.grad(mg.sum(expected * expected), x)))
    assert layer.parameters() == []


@pytest.mark.parametrize("layer", [layer for layer, _ in LAYERS], ids=[type(layer).__name__ for layer, _ in LAYERS])
def test_nothing_moves_between_host_and_device(layer, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.cupy)
    x = mg.tensor(IMAGES, device="gpu", requires_grad=True)
    with strict_cupy.counting() as transfers:
        mg.sum(layer(x)).backward()
    assert transfers == strict_cupy.Transfers()


def test_flatten_goes_pixel_by_pixel_and_keeps_the_examples():
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(nn.Flatten()(x), np.arange(24.0).reshape(2, 12))
    assert nn.Flatten()(x[:0]).shape == (0, 12)
    assert nn.Flatten()(x[:, 0, 0]).shape == (2, 2)
    assert nn.Flatten()(x[:, 0, 0, 0]).shape == (2, 1)


@pytest.mark.parametrize("factor", [2, 3])
def test_pooling_undoes_upsampling(factor):
    up = nn.Upsample2d(factor)(IMAGES)
    np.testing.assert_array_equal(nn.MaxPool2d(factor)(up), IMAGES)
    np.testing.assert_allclose(nn.AvgPool2d(factor)(up), IMAGES, rtol=1e-6)
    linear = nn.Upsample2d(factor, mode="bilinear")
    np.testing.assert_allclose(
        linear(np.full_like(IMAGES, 3.0)), 3.0, rtol=1e-6
    )  # the shares of the neighbours sum to 1
    shuffled = nn.PixelShuffle(2)(IMAGES)
    assert shuffled.shape == (2, 12, 8, 2)
    np.testing.assert_array_equal(mg.pixel_unshuffle(shuffled, factor=2), IMAGES)
