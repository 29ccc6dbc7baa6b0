"""The layers whose convolutions are timed: that each does in minigen's kernels, its operations and PyTorch the same."""

import math

import convolutions
import numpy as np
import pytest
from convolutions import KERNELS, LAYERS, MASKED, PASSES, PLAIN, TRANSPOSED, Layer

import minigen as mg
from minigen import kernels, ops

each_layer = pytest.mark.parametrize("layer", [layer.smaller for layer in LAYERS], ids=lambda layer: layer.model)


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


@each_layer
def test_the_passes_are_those_of_the_operation_and_its_gradient(layer):
    arrays = convolutions.operands(layer)
    works = convolutions.works(layer, kernels, arrays)
    x, weight = (mg.tensor(array, requires_grad=True) for array in arrays[:2])
    settings = {"stride": layer.stride, "padding": layer.padding, "groups": layer.groups, "mask": layer.tap_mask}
    if layer.kernel == TRANSPOSED:
        out = ops.conv_transpose2d(x, weight, arrays[2], output_padding=layer.more, **settings)
    else:
        out = ops.conv2d(x, weight, arrays[2], **settings)
    out.backward(arrays[3])
    for step, wanted in zip(PASSES, (out.data, x.grad, weight.grad), strict=True):
        close(works[step](), wanted.data if isinstance(wanted, mg.Tensor) else wanted)


@each_layer
@pytest.mark.parametrize("layout", ["NCHW", "channels_last"])
def test_pytorch_does_the_same_work(layer, layout):
    torch = pytest.importorskip("torch")
    arrays = convolutions.operands(layer)
    ours, theirs = (
        convolutions.works(layer, kernels, arrays),
        convolutions.torch_works(torch, layer, arrays, layout, "cpu"),
    )
    for step in PASSES:
        axes = (2, 3, 1, 0) if step == "weight gradient" else (0, 2, 3, 1)
        close(ours[step](), theirs[step]().permute(axes).numpy())


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [
        (Layer(PLAIN, "", 2, 8, 3, 5, 3, padding=1), 2 * 2 * 64 * 9 * 15),
        (Layer(MASKED, "", 1, 8, 3, 5, 5, padding=2, mask="B"), 2 * 64 * 13 * 15),
        (Layer(PLAIN, "", 1, 8, 6, 6, 3, padding=1, groups=6), 2 * 64 * 9 * 6),
        (Layer(TRANSPOSED, "", 1, 4, 3, 5, 4, stride=2, padding=1), 2 * 16 * 16 * 15),
    ],
)
def test_operations_count_live_taps_only(layer, wanted):
    assert layer.operations == wanted


def test_the_layers_are_of_all_kinds_and_told_apart():
    assert len(LAYERS) >= 12
    assert {layer.kernel for layer in LAYERS} == set(KERNELS)
    assert len({(layer.kernel, layer.model) for layer in LAYERS}) == len(LAYERS)
    assert len({(layer.kernel, layer.shape) for layer in LAYERS}) == len(LAYERS)
    assert {(layer.mask, layer.taps) for layer in LAYERS if layer.mask} == {(m, k) for m in "AB" for k in (3, 5, 7)}


def test_operations_grow_by_the_slope_that_the_picture_draws():
    base = Layer(PLAIN, "", 16, 16, 64, 64, 3, padding=1)
    for name, layers in convolutions.growing(base, quick=False).items():
        (first, small), (last, large) = layers[0], layers[-1]
        slope = math.log(large.operations / small.operations) / math.log(last / first)
        assert slope == pytest.approx(convolutions.GROWTH[name])
