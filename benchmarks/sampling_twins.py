"""What a plain sampler in PyTorch does at one step, and the network that `sampling.py` has there alone.

A network maps images, (N, 1, H, W), to the logits of all pixels, or the characters before, (N, T), to the logits (N, T, K). MADE has the
model's weights, masked once and for all. The other models have their networks beside their training steps.
"""

from collections.abc import Callable
from typing import Any

import harness
import numpy as np

from minigen import nn
from minigen.models import MADE

Network = Callable[[Any], Any]


# ------------------------------------------------------------------------------------------------------ one step


def image_step(torch: Any, network: Network, images: np.ndarray, layout: str) -> harness.Work:
    """Return what draws one pixel of images, (N, H, W, 1): it computes all of them."""
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    given = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=form)

    def step() -> Any:
        with torch.no_grad():
            logits = network(given).flatten(1)
            return torch.bernoulli(torch.sigmoid(logits[:, logits.shape[1] // 2]))

    return step


def text_step(torch: Any, network: Network, texts: np.ndarray, layout: str) -> harness.Work:
    """Return what draws a character in the middle of texts, (N, T): it computes those so far."""
    before = torch.from_numpy(texts[:, : texts.shape[1] // 2])

    def step() -> Any:
        with torch.no_grad():
            return torch.multinomial(torch.softmax(network(before)[:, -1], dim=-1), 1)

    return step


# ------------------------------------------------------------------------------------------------------ a network


def made(torch: Any, model: MADE, layout: str) -> Network:
    """Return `models.MADE` without direct connections."""

    def linear(layer: nn.MaskedLinear) -> Network:
        weight = torch.from_numpy((layer.weight.data * layer.mask.data).T.copy())
        bias = torch.from_numpy(layer.bias.data)  # type: ignore[union-attr]
        return lambda x: torch.nn.functional.linear(x, weight, bias)

    hidden, out = [linear(layer) for layer in model.layers], linear(model.out)

    def network(images: Any) -> Any:
        units = images.flatten(1)
        for layer in hidden:
            units = torch.relu(layer(units))
        return out(units)

    return network
