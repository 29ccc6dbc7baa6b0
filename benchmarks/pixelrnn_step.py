"""Training steps of PixelRNNs (van den Oord et al. 2016a): minigen's, and the same networks in PyTorch.

    row_lstm           4 Row LSTMs of 32 features, k = 3
    diagonal_bilstm    4 Diagonal BiLSTMs of 32 features in each direction

Both have 64 channels between them, a 7 x 7 convolution before and two 1 x 1 convolutions behind them, and see binary images of 28 x 28
pixels. A step is forward, backward and Adam, in float32 on one batch; the loss is -log p(x) in nats per image. In PyTorch the walk over the
lines is written as one product and the gates for each line, and the diagonals are made columns by skewing, as the paper says.
"""

from typing import Any

import numpy as np
from masked import masked_convolution
from players import Player

import minigen as mg
from minigen.models import BernoulliConditional, PixelRNN
from minigen.random import Generator

BATCH_SIZES = {"row_lstm": 16, "diagonal_bilstm": 16}
LAYOUTS = ("channels_last",)
"""Lines of an image with its channels side by side are what the LSTMs multiply."""
SIZE, FEATURES, LAYERS = 28, 64, 4


def batch() -> np.ndarray:
    """Return binary images, (N, H, W, 1), drawn at random."""
    n = next(iter(BATCH_SIZES.values()))
    return (np.random.default_rng(0).uniform(size=(n, SIZE, SIZE, 1)) < 0.2).astype(np.float32)


def minigen_players(name: str, device: str) -> list[Player]:
    """Return the network, and its loss on the batch."""
    kind = name.partition("_")[0]
    model = PixelRNN(
        (SIZE, SIZE, 1), BernoulliConditional(), kind=kind, features=FEATURES, layers=LAYERS, rng=Generator(0, device=device)
    ).to(device)  # fmt: skip
    images = mg.tensor(batch(), device=device)
    return [Player(model, lambda: model.loss(images)[0])]


# ------------------------------------------------------------------------------------------------------ PyTorch


def torch_pixelrnn(torch: Any, name: str) -> Any:
    """Return the same network in PyTorch, its parameters in the same order."""
    net, functional, half = torch.nn, torch.nn.functional, FEATURES // 2

    class ImageLSTM(net.Module):
        """`models.pixelrnn.ImageLSTM`, of images (N, C, H, W)."""

        def __init__(self, direction: str) -> None:
            super().__init__()
            self.direction = direction
            taps = 3 if direction == "down" else 2
            kernel = (1, 3 if direction == "down" else 1)
            self.input_to_state = masked_convolution(torch, FEATURES, 4 * half, kernel=kernel, kind="B")
            # In a list, as a module lists its own parameters before those of its parts.
            self.state_to_state = net.ParameterList([0.1 * torch.randn(taps, half, 4 * half)])

        def forward(self, x: Any) -> Any:
            inputs = self.input_to_state(x).permute(0, 2, 3, 1)  # (N, H, W, 4h)
            if self.direction == "down":
                return self.walk(inputs.unbind(1), stack=1).permute(0, 3, 1, 2)
            inputs = inputs.flip(2) if self.direction == "left" else inputs
            states = self.unskewed(self.walk(self.skewed(inputs).unbind(2), stack=2))
            states = states.flip(2) if self.direction == "left" else states
            return states.permute(0, 3, 1, 2)

        def walk(self, lines: Any, stack: int) -> Any:
            (weight,) = self.state_to_state
            matrix = weight.flatten(0, 1)  # (taps h, 4h)
            after = int(self.direction == "down")
            hidden = cell = None
            states = []
            for a in lines:  # (N, L, 4h)
                if hidden is not None:
                    around = functional.pad(hidden, (0, 0, 1, after))
                    length = hidden.shape[1]
                    seen = torch.cat([around[:, k : k + length] for k in range(len(weight))], dim=2)
                    a = a + seen @ matrix
                i, f, g, o = a.chunk(4, dim=2)
                kept = 0 if cell is None else f.sigmoid() * cell
                cell = kept + i.sigmoid() * g.tanh()
                hidden = o.sigmoid() * cell.tanh()
                states.append(hidden)
            return torch.stack(states, dim=stack)

        def skewed(self, x: Any) -> Any:
            n, height, width, channels = x.shape
            flat = functional.pad(x, (0, 0, 0, height)).reshape(n, -1, channels)
            return flat[:, : height * (width + height - 1)].view(n, height, width + height - 1, channels)

        def unskewed(self, x: Any) -> Any:
            n, height, longer, channels = x.shape
            flat = functional.pad(x.reshape(n, -1, channels), (0, 0, 0, height))
            return flat.view(n, height, longer + 1, channels)[:, :, : longer + 1 - height]

    class DiagonalBiLSTM(net.Module):
        """`models.pixelrnn.DiagonalBiLSTM`."""

        def __init__(self) -> None:
            super().__init__()
            self.right, self.left = ImageLSTM("right"), ImageLSTM("left")

        def forward(self, x: Any) -> Any:
            return self.right(x) + functional.pad(self.left(x)[:, :, :-1], (0, 0, 1, 0))

    class Block(net.Module):
        """`models.pixelrnn.RecurrentBlock`."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm = ImageLSTM("down") if name == "row_lstm" else DiagonalBiLSTM()
            self.up = net.Conv2d(half, FEATURES, 1)

        def forward(self, x: Any) -> Any:
            return x + self.up(self.lstm(x))

    class TorchPixelRNN(net.Module):
        """`models.PixelRNN`."""

        def __init__(self) -> None:
            super().__init__()
            self.first = masked_convolution(torch, 1, FEATURES, kernel=(7, 7), kind="A")
            self.blocks = net.Sequential(*(Block() for _ in range(LAYERS)))
            self.head = net.Sequential(
                net.ReLU(), net.Conv2d(FEATURES, FEATURES, 1), net.ReLU(), net.Conv2d(FEATURES, 1, 1)
            )

        def forward(self, x: Any) -> Any:
            return self.head(self.blocks(self.first(2 * x - 1)))

    return TorchPixelRNN()


def torch_players(torch: Any, name: str, layout: str, device: str) -> list[Player]:
    """Return the same network in PyTorch, and its loss."""
    images = torch.from_numpy(batch()).to(device).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(0)
    model = torch_pixelrnn(torch, name).to(device).to(memory_format=torch.channels_last)
    likelihood = torch.nn.functional.binary_cross_entropy_with_logits
    return [Player(model, lambda: likelihood(model(images), images, reduction="sum") / len(images))]
