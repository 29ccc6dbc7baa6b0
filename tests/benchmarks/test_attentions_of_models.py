"""The attentions that are timed: that minigen's kernels and PyTorch do the same work."""

import attentions
import numpy as np
import pytest
from attentions import LAYERS, PASSES

import minigen as mg
from minigen import kernels


@pytest.mark.parametrize("layer", [layer.smaller for layer in LAYERS], ids=lambda layer: layer.model)
def test_passes_are_those_of_the_operation_and_of_pytorch(layer):
    torch = pytest.importorskip("torch")
    *inputs, g = attentions.operands(layer)
    leaves = [mg.Tensor(x, requires_grad=True) for x in inputs]
    y = mg.attention(*leaves, causal=layer.causal)
    wanted = {"forward": [y.data], "backward": [x.data for x in mg.grad(y, leaves, g)]}
    works = attentions.works(layer, kernels, [*inputs, g])
    theirs = attentions.torch_works(torch, layer, [*inputs, g], "contiguous", "cpu")
    assert tuple(works) == tuple(theirs) == PASSES
    for step in PASSES:
        found, there = works[step](), theirs[step]()
        there = there if isinstance(there, tuple) else (there,)
        for a, b, c in zip(found, there, wanted[step], strict=False):  # the kernel returns logarithms, too
            np.testing.assert_allclose(a, c, rtol=1e-6)
            np.testing.assert_allclose(b.transpose(1, 2).numpy(), c, rtol=1e-3, atol=1e-5)


def test_layers_are_told_apart():
    assert (
        len({(layer.kernel, layer.shape) for layer in LAYERS}) == len(LAYERS) == len({layer.model for layer in LAYERS})
    )
