"""Training steps of the gated PixelCNN (van den Oord et al. 2016b): minigen's, and the same network in PyTorch.

    gated_pixelcnn   28 x 28 bits: five layers of two stacks of 32 channels, the first with kernels of 7, the others of 3, and two 1x1

A step is forward, backward and Adam, in float32 on one batch; the loss is -log p(x) in nats per image.
"""

from typing import Any

import numpy as np
from masked import masked_convolution
from players import Player

import minigen as mg
from minigen.models import BernoulliConditional, GatedPixelCNN
from minigen.random import Generator

BATCH_SIZES = {"gated_pixelcnn": 32}
LAYOUTS = ("NCHW", "channels_last")
SIZE, FEATURES, LAYERS = 28, 32, 5


def batch() -> np.ndarray:
    """Return binary images, (N, H, W, 1), drawn at random."""
    shape = (BATCH_SIZES["gated_pixelcnn"], SIZE, SIZE, 1)
    return np.random.default_rng(0).integers(0, 2, shape).astype(np.float32)


def minigen_players(name: str, device: str) -> list[Player]:
    """Return the network, and its loss on the batch."""
    model = GatedPixelCNN(
        (SIZE, SIZE, 1), BernoulliConditional(), features=FEATURES, layers=LAYERS, rng=Generator(0, device=device)
    ).to(device)
    images = mg.tensor(batch(), device=device)
    return [Player(model, lambda: model.loss(images)[0])]


# ------------------------------------------------------------------------------------------------------ PyTorch


def torch_gated_pixelcnn(torch: Any) -> Any:
    """Return the same network in PyTorch, its parameters in the same order."""
    net, both = torch.nn, 2 * FEATURES

    def gate(x: Any) -> Any:
        a, b = x.chunk(2, dim=1)
        return torch.tanh(a) * torch.sigmoid(b)

    class Layer(net.Module):
        """`models.gated_pixelcnn.GatedLayer`."""

        def __init__(self, before: int, k: int, kind: str) -> None:
            super().__init__()
            self.vertical = masked_convolution(torch, before, both, kernel=(k, k), kind=kind, stack="vertical")
            self.horizontal = masked_convolution(torch, before, both, kernel=(1, k), kind=kind, stack="horizontal")
            self.link, self.last = net.Conv2d(both, both, 1), net.Conv2d(FEATURES, FEATURES, 1)
            self.is_residual = kind == "B"

        def forward(self, v: Any, h: Any) -> tuple[Any, Any]:
            a = self.vertical(v)
            change = self.last(gate(self.horizontal(h) + self.link(a)))
            return a, h + change if self.is_residual else change

    class TorchGatedPixelCNN(net.Module):
        """`models.GatedPixelCNN`."""

        def __init__(self) -> None:
            super().__init__()
            self.first = Layer(1, 7, "A")
            self.others = net.ModuleList(Layer(FEATURES, 3, "B") for _ in range(LAYERS - 1))
            self.head = net.Sequential(
                net.ReLU(), net.Conv2d(FEATURES, FEATURES, 1), net.ReLU(), net.Conv2d(FEATURES, 1, 1)
            )

        def forward(self, x: Any) -> Any:
            scaled = 2 * x - 1
            a, h = self.first(scaled, scaled)
            for layer in self.others:
                a, h = layer(gate(a), h)
            return self.head(h)

    return TorchGatedPixelCNN()


def torch_players(torch: Any, name: str, layout: str, device: str) -> list[Player]:
    """Return the same network in PyTorch, with images laid out "NCHW" or "channels_last", and its loss."""
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    images = torch.from_numpy(batch()).to(device).permute(0, 3, 1, 2).contiguous(memory_format=form)
    torch.manual_seed(0)
    model = torch_gated_pixelcnn(torch).to(device).to(memory_format=form)
    likelihood = torch.nn.functional.binary_cross_entropy_with_logits
    return [Player(model, lambda: likelihood(model(images), images, reduction="sum") / len(images))]
