"""Training steps of models of text: minigen's, and the same networks in PyTorch.

    lstm          a language model of characters: embedding, an LSTM of 256 features, a linear map to the logits
    transformer   4 blocks of 256 features, 8 heads, normalized before each part (as GPT-2), with learned positions and the causal mask

Both predict every next character of 128, one of 65 (as many as Shakespeare's plays have), and their loss is the cross-entropy in nats per
character. A step is forward, backward and Adam, in float32 on one batch. PyTorch's attention is its fused one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from players import Player

import minigen as mg
from minigen import ops
from minigen.distributions import Categorical
from minigen.models import LanguageModel, RecurrentLanguageModel, TransformerLanguageModel
from minigen.random import Generator

BATCH_SIZES = {"lstm": 64, "transformer": 16}
LAYOUTS = ("contiguous",)
LENGTH, CHARACTERS, FEATURES, HEADS, BLOCKS = 128, 65, 256, 8, 4


def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return characters, (N, T), and the ones that follow, drawn at random."""
    text = np.random.default_rng(0).integers(0, CHARACTERS, (BATCH_SIZES[name], LENGTH + 1))
    return text[:, :-1].copy(), text[:, 1:].copy()


# ------------------------------------------------------------------------------------------------------ minigen


MODELS: dict[str, Callable[[Generator], LanguageModel]] = {
    "lstm": lambda rng: RecurrentLanguageModel(CHARACTERS, features=FEATURES, length=LENGTH, rng=rng),
    "transformer": lambda rng: TransformerLanguageModel(
        CHARACTERS, window=LENGTH, features=FEATURES, heads=HEADS, blocks=BLOCKS, rng=rng
    ),
}


def minigen_players(name: str, device: str) -> list[Player]:
    """Return the network, and its loss on the batch."""
    text, following = (mg.tensor(array, device=device) for array in batch(name))
    model = MODELS[name](Generator(0, device=device)).to(device)
    return [Player(model, lambda: -ops.mean(Categorical(logits=model.logits(text)).log_prob(following)))]


# ------------------------------------------------------------------------------------------------------ PyTorch


def torch_players(torch: Any, name: str, layout: str, device: str) -> list[Player]:
    """Return the same network in PyTorch; sequences have one layout only."""
    net, functional = torch.nn, torch.nn.functional
    text, following = (torch.from_numpy(array).to(device) for array in batch(name))
    torch.manual_seed(0)

    class TorchRecurrent(net.Module):
        """`RecurrentLanguageModel`; the embedding has a row for the start token, too."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = net.Embedding(CHARACTERS + 1, FEATURES)
            self.lstm = net.LSTM(FEATURES, FEATURES, batch_first=True)
            self.last = net.Linear(FEATURES, CHARACTERS)

        def forward(self, text: Any) -> Any:
            output, _ = self.lstm(self.embedding(text))
            return self.last(output)

    class Block(net.Module):
        """`nn.TransformerBlock`."""

        def __init__(self) -> None:
            super().__init__()
            self.norm, self.qkv = net.LayerNorm(FEATURES), net.Linear(FEATURES, 3 * FEATURES)
            self.mixed = net.Linear(FEATURES, FEATURES)
            self.second_norm, self.wide = net.LayerNorm(FEATURES), net.Linear(FEATURES, 4 * FEATURES)
            self.narrow = net.Linear(4 * FEATURES, FEATURES)

        def forward(self, x: Any) -> Any:
            qkv = self.qkv(self.norm(x)).view(*x.shape[:2], 3, HEADS, FEATURES // HEADS)
            query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (N, H, T, D) each
            seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + self.mixed(seen.transpose(1, 2).reshape(x.shape))
            return x + self.narrow(functional.gelu(self.wide(self.second_norm(x))))

    class TorchTransformer(net.Module):
        """`TransformerLanguageModel`."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = net.Embedding(CHARACTERS + 1, FEATURES)
            self.positions = net.Embedding(LENGTH, FEATURES)
            self.blocks = net.Sequential(*(Block() for _ in range(BLOCKS)))
            self.norm = net.LayerNorm(FEATURES)
            self.last = net.Linear(FEATURES, CHARACTERS)

        def forward(self, text: Any) -> Any:
            x = self.embedding(text) + self.positions.weight[: text.shape[1]]
            return self.last(self.norm(self.blocks(x)))

    model = (TorchRecurrent if name == "lstm" else TorchTransformer)().to(device)
    return [Player(model, lambda: functional.cross_entropy(model(text).flatten(0, 1), following.flatten()))]
