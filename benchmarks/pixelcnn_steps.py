"""Training steps of PixelCNNs: minigen's, and the same networks in PyTorch.

    pixelcnn         van den Oord et al. 2016a: a 7x7 convolution with mask A, five residual blocks of 64, 32, 32 and 64 channels, two 1x1
    gated_pixelcnn   van den Oord et al. 2016b: five layers of two stacks of 32 channels, the first with kernels of 7, the others of 3; two
                     1x1

Both see binary images of 28 x 28 pixels. A step is forward, backward and Adam, in float32 on one batch; the loss is -log p(x) in nats per
image.
"""

from typing import Any

import numpy as np
from masked import masked_convolution
from players import Player

import minigen as mg
from minigen.models import BernoulliConditional, GatedPixelCNN, PixelCNN
from minigen.models.raster import RasterModel
from minigen.random import Generator

BATCH_SIZES = {"pixelcnn": 32, "gated_pixelcnn": 32}
LAYOUTS = ("NCHW", "channels_last")
SIZE, KERNEL_SIZE = 28, 7
FEATURES, DEPTH = {"pixelcnn": 64, "gated_pixelcnn": 32}, 5  # of the layers; blocks, or layers


def batch(name: str) -> np.ndarray:
    """Return binary images, (N, H, W, 1), drawn at random."""
    shape = (BATCH_SIZES[name], SIZE, SIZE, 1)
    return np.random.default_rng(0).integers(0, 2, shape).astype(np.float32)


def minigen_players(name: str, device: str) -> list[Player]:
    """Return the network, and its loss on the batch."""
    settings: dict[str, Any] = {"features": FEATURES[name], "rng": Generator(0, device=device)}
    size, bits = (SIZE, SIZE, 1), BernoulliConditional()
    model: RasterModel = (
        PixelCNN(size, bits, blocks=DEPTH, **settings)
        if name == "pixelcnn"
        else GatedPixelCNN(size, bits, layers=DEPTH, **settings)
    )
    model.to(device)
    images = mg.tensor(batch(name), device=device)
    return [Player(model, lambda: model.loss(images)[0])]


# ------------------------------------------------------------------------------------------------------ PyTorch


def torch_head(torch: Any, features: int) -> Any:
    """Return the two convolutions that end a network."""
    net = torch.nn
    return net.Sequential(net.ReLU(), net.Conv2d(features, features, 1), net.ReLU(), net.Conv2d(features, 1, 1))


def torch_pixelcnn(torch: Any) -> Any:
    """Return `models.PixelCNN` in PyTorch, its parameters in the same order."""
    net, features = torch.nn, FEATURES["pixelcnn"]
    half = features // 2

    class Block(net.Module):
        """`models.pixelcnn.MaskedBlock`."""

        def __init__(self) -> None:
            super().__init__()
            self.change = net.Sequential(
                net.ReLU(), net.Conv2d(features, half, 1),
                net.ReLU(), masked_convolution(torch, half, half, kernel=(3, 3), kind="B"),
                net.ReLU(), net.Conv2d(half, features, 1),
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            return x + self.change(x)

    class TorchPixelCNN(net.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = masked_convolution(torch, 1, features, kernel=(KERNEL_SIZE, KERNEL_SIZE), kind="A")
            self.blocks = net.Sequential(*(Block() for _ in range(DEPTH)))
            self.head = torch_head(torch, features)

        def forward(self, x: Any) -> Any:
            return self.head(self.blocks(self.first(2 * x - 1)))

    return TorchPixelCNN()


def torch_gated_pixelcnn(torch: Any) -> Any:
    """Return `models.GatedPixelCNN` in PyTorch, its parameters in the same order."""
    net, features = torch.nn, FEATURES["gated_pixelcnn"]
    both = 2 * features

    def gate(x: Any) -> Any:
        a, b = x.chunk(2, dim=1)
        return torch.tanh(a) * torch.sigmoid(b)

    class Layer(net.Module):
        """`models.gated_pixelcnn.GatedLayer`."""

        def __init__(self, before: int, k: int, kind: str) -> None:
            super().__init__()
            self.vertical = masked_convolution(torch, before, both, kernel=(k, k), kind=kind, stack="vertical")
            self.horizontal = masked_convolution(torch, before, both, kernel=(1, k), kind=kind, stack="horizontal")
            self.link, self.last = net.Conv2d(both, both, 1), net.Conv2d(features, features, 1)
            self.is_residual = kind == "B"

        def forward(self, v: Any, h: Any) -> tuple[Any, Any]:
            a = self.vertical(v)
            change = self.last(gate(self.horizontal(h) + self.link(a)))
            return a, h + change if self.is_residual else change

    class TorchGatedPixelCNN(net.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = Layer(1, KERNEL_SIZE, "A")
            self.others = net.ModuleList(Layer(features, 3, "B") for _ in range(DEPTH - 1))
            self.head = torch_head(torch, features)

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
    images = torch.from_numpy(batch(name)).to(device).permute(0, 3, 1, 2).contiguous(memory_format=form)
    torch.manual_seed(0)
    model = (torch_pixelcnn if name == "pixelcnn" else torch_gated_pixelcnn)(torch).to(device).to(memory_format=form)
    likelihood = torch.nn.functional.binary_cross_entropy_with_logits
    return [Player(model, lambda: likelihood(model(images), images, reduction="sum") / len(images))]
