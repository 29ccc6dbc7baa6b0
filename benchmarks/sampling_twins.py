"""Networks of `sampling.py` in PyTorch, and what a plain sampler does with them at one step.

A network maps images, (N, 1, H, W), to the logits of all pixels, or the characters before, (N, T), to the logits (N, T, K). PixelCNN and
MADE have the model's weights, masked once and for all. The other models have theirs beside their training steps.
"""

from collections.abc import Callable
from typing import Any

import harness
import numpy as np

from minigen import nn
from minigen.models import MADE, PixelCNN

Network = Callable[[Any], Any]
LAYOUTS = ("NCHW", "channels_last")
"""Of images and kernels in memory."""


# ------------------------------------------------------------------------------------------------------ one step


def image_step(torch: Any, network: Network, images: np.ndarray, layout: str) -> harness.Work:
    """Return what draws one pixel of images, (N, H, W, 1): it computes all of them."""
    given = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=memory_format(torch, layout))

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


def memory_format(torch: Any, layout: str) -> Any:
    """Return PyTorch's name of a layout."""
    return torch.channels_last if layout == "channels_last" else torch.contiguous_format


# ------------------------------------------------------------------------------------------------------ networks


def pixelcnn(torch: Any, model: PixelCNN, layout: str) -> Network:
    """Return `models.PixelCNN`."""
    first = convolution(torch, model.first, layout)
    blocks = [
        [convolution(torch, layer, layout) for layer in (block.narrow, block.masked, block.wide)]
        for block in model.blocks
    ]
    head = [convolution(torch, layer, layout) for layer in model.head]

    def network(images: Any) -> Any:
        x = first(2 * images - 1)
        for layers in blocks:
            h = x
            for layer in layers:
                h = layer(torch.relu(h))
            x = x + h
        for layer in head:
            x = layer(torch.relu(x))
        return x

    return network


def convolution(torch: Any, layer: nn.MaskedConv2d, layout: str) -> Network:
    """Return a masked convolution: a dense one with zeros."""
    weight = layer.weight.data * layer.taps[:, :, None, None]
    kernel = torch.from_numpy(weight.astype(np.float32)).permute(3, 2, 0, 1)
    kernel = kernel.contiguous(memory_format=memory_format(torch, layout))
    bias = torch.from_numpy(layer.bias.data)  # type: ignore[union-attr]
    padding = (weight.shape[0] // 2, weight.shape[1] // 2)
    return lambda x: torch.nn.functional.conv2d(x, kernel, bias, padding=padding)


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
