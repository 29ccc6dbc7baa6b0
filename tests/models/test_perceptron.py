"""The multilayer perceptron: its layers in order, and whose initial weights they have."""

import numpy as np
import pytest

from minigen import nn
from minigen.models.perceptron import mlp
from minigen.nn.init import xavier_uniform
from minigen.random import Generator


def test_activations_stand_between_linear_layers_and_are_modules_of_their_own():
    layers = mlp((4, 8, 6, 2), rng=Generator(0), activation=nn.ReLU)
    assert [type(layer) for layer in layers] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert [layer.weight.shape for layer in layers[::2]] == [(4, 8), (8, 6), (6, 2)]
    assert layers[1] is not layers[3]


@pytest.mark.parametrize("chosen", [{}, {"initialize": None}])
def test_weights_are_drawn_from_the_first_layer_to_the_last(chosen):
    initialize = None if chosen else xavier_uniform
    rng = Generator(7)
    expected = [nn.Linear(a, b, rng=rng, initialize=initialize) for a, b in ((4, 8), (8, 2))]
    for layer, one in zip(mlp((4, 8, 2), rng=Generator(7), **chosen)[::2], expected, strict=True):
        np.testing.assert_array_equal(layer.weight.data, one.weight.data)
        np.testing.assert_array_equal(layer.bias.data, one.bias.data)
