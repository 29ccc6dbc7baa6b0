"""The recurrent layers that are timed: that each does in minigen's kernels and in PyTorch the same."""

import numpy as np
import pytest
import recurrences
from recurrences import LAYERS, PASSES

from minigen import kernels


@pytest.mark.parametrize(
    "layer", [layer.smaller for layer in LAYERS], ids=lambda layer: f"{layer.kernel} {layer.model}"
)
def test_the_passes_are_those_of_pytorch(layer):
    torch = pytest.importorskip("torch")
    arrays = recurrences.operands(layer)
    ours = recurrences.works(layer, kernels, arrays)
    theirs = recurrences.torch_works(torch, layer, arrays, "contiguous", "cpu")
    assert (*ours,) == (*theirs,) == PASSES
    found = ours["forward"]()
    states = found if layer.kernel == "RNN" else found[0]
    expected = theirs["forward"]().detach().numpy()
    np.testing.assert_allclose(states[:, : layer.steps], expected, atol=1e-5)
    to_x, to_weight_x, to_weight_h, to_bias, *_ = ours["backward"]()
    gradients = (to_x, to_weight_x.T, to_weight_h.T, to_bias)
    for a, b in zip(gradients, theirs["backward"](), strict=False):  # PyTorch has a second bias
        np.testing.assert_allclose(a, b.numpy(), atol=2e-5 * max(1.0, b.abs().max().item()))


def test_the_shapes_are_those_of_the_operands():
    for layer in (layer.smaller for layer in LAYERS):
        x, weight_x, weight_h, bias, g, first = recurrences.operands(layer)
        assert x.shape == (layer.batch, layer.steps, layer.inputs)
        assert g.shape == (layer.batch, layer.steps, layer.features)
        assert first.shape == (layer.batch, layer.features)
        assert weight_x.shape[1] == weight_h.shape[1] == bias.size == recurrences.GATES[layer.kernel] * layer.features
        products = x.size * weight_x.shape[1] + g.size * weight_h.shape[1]
        assert layer.operations == {"forward": 2 * products, "backward": 4 * products}
