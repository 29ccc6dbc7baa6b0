"""A training step of a small diffusion model of 28 x 28 pixels (Ho et al. 2020), written twice: with minigen's layers, and in PyTorch.

    28 x 28, 64 channels      first --> down[0] -----------------------------------> up[0] --> last
    14 x 14, 128                           \\--> down[1] --------------------> up[1] -/
     7 x  7, 128                                   \\--> down[2] --> mix --> up[2] -/

Downwards each arrow is one residual block, which halves the image at its entrance to the next row; upwards each takes what came from
below beside what came from the left, and doubles the image. `mix` is self-attention over the 49 pixels. Every block is told the time by
adaptive group normalization (Dhariwal & Nichol 2021). The network sees an image with noise, sqrt(a_t) x + sqrt(1 - a_t) e, and is to say
e; the loss is the mean squared error.
"""

import math
from typing import Any

import numpy as np
from players import Player

import minigen as mg
from minigen import nn, ops
from minigen.backend import to_device
from minigen.engine import Tensor, TensorLike
from minigen.random import Generator

BATCH_SIZES = {"unet": 16}
LAYOUTS = ("NCHW", "channels_last")
CHANNELS, WIDE, GROUPS, HEADS = 64, 128, 32, 4
TIMES, EMBEDDING = 1000, 256
SHARES = np.cumprod(1 - np.linspace(1e-4, 0.02, TIMES)).astype(np.float32)
"""a_t, the share of the image in the variance at time t (Ho et al. 2020, section 4)."""

DOWN = ((CHANNELS, CHANNELS, None), (CHANNELS, WIDE, "down"), (WIDE, WIDE, "down"))
UP = ((2 * CHANNELS, CHANNELS, None), (2 * WIDE, CHANNELS, "up"), (2 * WIDE, WIDE, "up"))
"""The blocks from the uppermost row of the picture to the lowest: channels in and out, what becomes of the image's size."""


def batch() -> np.ndarray:
    """Return images, (N, H, W, C), drawn at random."""
    return np.random.default_rng(0).uniform(-1, 1, (BATCH_SIZES["unet"], 28, 28, 1)).astype(np.float32)


# ------------------------------------------------------------------------------------------------------ minigen


class UNet(nn.Module):
    """Ho et al. 2020, appendix B, with one residual block a level."""

    def __init__(self, rng: Generator) -> None:
        settings = {"groups": GROUPS, "embedding_features": EMBEDDING, "rng": rng}
        self.waves = nn.SinusoidalEmbedding(CHANNELS)
        self.time = nn.Sequential(
            nn.Linear(CHANNELS, EMBEDDING, rng=rng), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING, rng=rng), nn.SiLU()
        )
        self.first = nn.Conv2d(1, CHANNELS, kernel_size=3, padding=1, rng=rng)
        self.down = [nn.ResidualBlock(before, after, resample=size, **settings) for before, after, size in DOWN]
        self.mix = nn.SelfAttention2d(WIDE, heads=HEADS, groups=GROUPS, rng=rng)
        self.up = [nn.ResidualBlock(before, after, resample=size, **settings) for before, after, size in UP]
        self.norm = nn.GroupNorm(GROUPS, CHANNELS)
        self.last = nn.Conv2d(CHANNELS, 1, kernel_size=3, padding=1, rng=rng)

    def forward(self, x: TensorLike, t: TensorLike) -> Tensor:
        """Return the noise that x, (N, H, W, C), is taken to hold at the times t, (N,)."""
        time = self.time(self.waves(t))
        h = self.first(x)
        left = []
        for block in self.down:
            h = block(h, time)
            left.append(h)
        h = self.mix(h)
        for block in reversed(self.up):
            h = block(ops.concatenate([h, left.pop()], axis=-1), time)
        return self.last(ops.silu(self.norm(h)))

    def loss(self, x: TensorLike, t: TensorLike, noise: TensorLike, share: TensorLike) -> Tensor:
        """Return the mean squared error for images and noise, (N, H, W, C), and times and a_t, (N,)."""
        share = share[:, None, None, None]
        miss = self(share**0.5 * x + (1.0 - share) ** 0.5 * noise, t) - noise
        return ops.mean(miss * miss)


def minigen_players(name: str, device: str) -> list[Player]:
    """Return the network, and its loss on the batch at random times."""
    rng = Generator(0, device=device)
    images, shares = (to_device(array, device) for array in (batch(), SHARES))
    unet = UNet(rng).to(device)

    def loss() -> Tensor:
        t = rng.integers(0, TIMES, (len(images),))
        return unet.loss(images, mg.tensor(t, dtype="float32", device=device), rng.normal(images.shape), shares[t])

    return [Player(unet, loss)]


# ------------------------------------------------------------------------------------------------------ PyTorch


def torch_unet(torch: Any) -> Any:
    """Return the same network in PyTorch, its parameters in the same order."""
    net, functional = torch.nn, torch.nn.functional

    class AdaptiveGroupNorm(net.Module):
        """`nn.AdaptiveGroupNorm`."""

        def __init__(self, channels: int) -> None:
            super().__init__()
            self.linear = net.Linear(EMBEDDING, 2 * channels)

        def forward(self, x: Any, time: Any) -> Any:
            scale, shift = self.linear(time)[:, :, None, None].chunk(2, dim=1)
            return (1 + scale) * functional.group_norm(x, GROUPS) + shift

    class Block(net.Module):
        """`nn.ResidualBlock`."""

        def __init__(self, before: int, after: int, size: str | None) -> None:
            super().__init__()
            self.shrink = net.AvgPool2d(2) if size == "down" else net.Identity()
            self.enlarge = net.Upsample(scale_factor=2, mode="nearest") if size == "up" else net.Identity()
            self.norm1, self.conv1 = net.GroupNorm(GROUPS, before), net.Conv2d(before, after, 3, padding=1)
            self.norm2, self.conv2 = AdaptiveGroupNorm(after), net.Conv2d(after, after, 3, padding=1)
            self.shortcut = net.Conv2d(before, after, 1) if before != after else net.Identity()

        def forward(self, x: Any, time: Any) -> Any:
            h = self.conv1(self.enlarge(self.shrink(functional.silu(self.norm1(x)))))
            h = self.conv2(functional.silu(self.norm2(h, time)))
            return h + self.enlarge(self.shortcut(self.shrink(x)))

    class Attention(net.Module):
        """`nn.SelfAttention2d`."""

        def __init__(self) -> None:
            super().__init__()
            self.norm = net.GroupNorm(GROUPS, WIDE)
            self.qkv, self.out = net.Linear(WIDE, 3 * WIDE), net.Linear(WIDE, WIDE)

        def forward(self, x: Any) -> Any:
            n, channels, height, width = x.shape
            pixels = self.norm(x).flatten(2).transpose(1, 2)  # (N, H W, C)
            qkv = self.qkv(pixels).view(n, height * width, 3, HEADS, channels // HEADS)
            query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (N, heads, H W, D) each
            seen = functional.scaled_dot_product_attention(query, key, value)
            mixed = self.out(seen.transpose(1, 2).reshape(pixels.shape))
            return x + mixed.transpose(1, 2).view(n, channels, height, width)

    class TorchUNet(net.Module):
        """`UNet`."""

        def __init__(self) -> None:
            super().__init__()
            half = CHANNELS // 2
            frequencies = torch.exp(-math.log(10_000) * torch.arange(half) / half)
            self.register_buffer("frequencies", frequencies)
            self.time = net.Sequential(
                net.Linear(CHANNELS, EMBEDDING), net.SiLU(), net.Linear(EMBEDDING, EMBEDDING), net.SiLU()
            )
            self.first = net.Conv2d(1, CHANNELS, 3, padding=1)
            self.down = net.ModuleList([Block(*sizes) for sizes in DOWN])
            self.mix = Attention()
            self.up = net.ModuleList([Block(*sizes) for sizes in UP])
            self.norm = net.GroupNorm(GROUPS, CHANNELS)
            self.last = net.Conv2d(CHANNELS, 1, 3, padding=1)

        def forward(self, x: Any, t: Any) -> Any:
            angles = t[:, None] * self.frequencies
            time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
            h = self.first(x)
            left = []
            for block in self.down:
                h = block(h, time)
                left.append(h)
            h = self.mix(h)
            for block in reversed(self.up):
                h = block(torch.cat([h, left.pop()], dim=1), time)
            return self.last(functional.silu(self.norm(h)))

        def loss(self, x: Any, t: Any, noise: Any, share: Any) -> Any:
            share = share[:, None, None, None]
            return functional.mse_loss(self(share.sqrt() * x + (1 - share).sqrt() * noise, t), noise)

    return TorchUNet()


def torch_players(torch: Any, name: str, layout: str, device: str) -> list[Player]:
    """Return the same network in PyTorch, and its loss, with images laid out "NCHW" or "channels_last"."""
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    images, shares = (torch.from_numpy(array).to(device) for array in (batch(), SHARES))
    images = images.permute(0, 3, 1, 2).contiguous(memory_format=form)
    torch.manual_seed(0)
    unet = torch_unet(torch).to(device).to(memory_format=form)

    def loss() -> Any:
        t = torch.randint(0, TIMES, (len(images),), device=device)
        return unet.loss(images, t.float(), torch.randn_like(images), shares[t])

    return [Player(unet, loss)]
