"""How long drawing images takes: 28 x 28 bits, one pixel after the other.

    pixelcnn   `models.PixelCNN`: a 7x7 convolution with mask A, five residual blocks of 64, 32, 32 and 64 channels, two 1x1 convolutions
    gated      `models.GatedPixelCNN`: five layers of two stacks of 32 channels, the first 7x7, two 1x1 convolutions

Each is sampled in three ways. *Plain*: the whole network for every pixel. *Cached*: at every pixel what is new there, by a compiled walk
over the image. *PyTorch*: the whole network for every pixel, with PyTorch's convolutions, eagerly, in the better layout. The cached time is
that of whole samples. Where the whole network is computed, every pixel costs the same; so these times are 784 times the time of one.

forward_s is one pass of the network for the batch, as log p costs it; `passes` says how many of those a cached sample takes, where the
plain one takes 784.

    python benchmarks/sampling.py [--models NAME ...] [--batches N ...] [--threads 2] [--quick] [--json F] [--plot F]
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
import numpy as np

from minigen import nn
from minigen.engine import no_grad
from minigen.kernels.memory import kept_memory
from minigen.kernels.threads import one_blas_thread
from minigen.models import BernoulliConditional, GatedPixelCNN, PixelCNN
from minigen.models.autoregressive import PlainStepper
from minigen.models.raster import RasterModel
from minigen.random import Generator

SIZE = (28, 28, 1)
MODELS: dict[str, Callable[[Generator], RasterModel]] = {
    "pixelcnn": lambda rng: PixelCNN(SIZE, BernoulliConditional(), features=64, blocks=5, rng=rng),
    "gated": lambda rng: GatedPixelCNN(SIZE, BernoulliConditional(), features=32, layers=5, rng=rng),
}
BATCHES = (1, 4, 16, 64, 256)
MIDDLE = 400  # a pixel in the middle of the image
COLUMNS = ("model", "batch", "plain_s", "cached_s", "speedup", "torch_s", "forward_s", "passes", "images_per_s")


def main() -> None:
    options = harness.arguments(__doc__, add=add_options)
    if harness.torch():
        harness.torch().set_num_threads(options.threads)
    with one_blas_thread(), kept_memory(), no_grad():
        rows = [compare(name, n, options) for name in options.models for n in options.batches]
    harness.show(rows, f"Sampling 28 x 28 bits, {options.threads} threads, seconds for a batch", COLUMNS)
    harness.write(rows, options)
    if options.plot:
        draw(rows, options.plot)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME", help="of pixelcnn, gated (both)"
    )
    parser.add_argument(
        "--batches", nargs="+", type=int, default=BATCHES, metavar="N", help="images drawn at a time (1 to 256)"
    )


def compare(name: str, n: int, options: argparse.Namespace) -> dict[str, Any]:
    """Time the ways to draw n images, and return the row."""
    model, sites = MODELS[name](Generator(0)), SIZE[0] * SIZE[1]
    rng = Generator(1)
    x = model.sample(n, rng=rng)  # also compiles
    works: dict[str, harness.Work] = {
        "forward": lambda: model.predict(x),
        "plain": plain_step(model, x),
        "cached": lambda: model.sample(n, rng=rng),
    }
    torch = harness.torch()
    if torch:
        candidates = {layout: torch_step(torch, model, x, layout) for layout in ("NCHW", "channels_last")}
        trial = harness.milliseconds(candidates, harness.QUICK if options.quick else harness.TRIAL)
        best = min(trial, key=lambda layout: float(np.median(trial[layout])))
        works["torch"] = candidates[best]
    times = {work: values / 1e3 for work, values in harness.milliseconds(works, options.effort).items()}
    for work in ("plain", "torch"):
        if work in times:
            times[work] *= sites
    seconds = {f"{work}_s": harness.median(values) for work, values in times.items()}
    row = {"model": name, "batch": n, "torch_s": None, **seconds}
    return row | {
        "speedup": harness.rounded(row["plain_s"] / row["cached_s"]),
        "passes": harness.rounded(row["cached_s"] / row["forward_s"]),
        "images_per_s": harness.rounded(n / row["cached_s"]),
        "torch_setting": best if torch else None,
        "quartiles": {work: harness.quartiles(values) for work, values in times.items()},
        "repetitions": {work: len(values) for work, values in times.items()},
    }


def plain_step(model: RasterModel, x: np.ndarray) -> harness.Work:
    """Return what the plain sampler does for one pixel."""
    stepper, flat, u = PlainStepper(model, None), x.reshape(len(x), -1), np.full(len(x), 0.5, np.float32)
    return lambda: model.conditional.quantile(stepper.parameters(flat, MIDDLE), u)


# ------------------------------------------------------------------------------------------------------ PyTorch


def torch_step(torch: Any, model: RasterModel, x: np.ndarray, layout: str) -> harness.Work:
    """Return what a plain sampler in PyTorch does for one pixel, images laid out "NCHW" or "channels_last"."""
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    network = torch_network(torch, model, form)
    images = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=form)

    def step() -> Any:
        with torch.no_grad():
            logits = network(images).flatten(1)[:, MIDDLE]
            return torch.bernoulli(torch.sigmoid(logits))

    return step


def torch_network(torch: Any, model: RasterModel, form: Any) -> Callable[[Any], Any]:
    """Return the model's network with its weights: images, (N, 1, H, W), to logits. Masked weights are zeros of dense ones."""
    functional = torch.nn.functional

    def convolution(layer: nn.MaskedConv2d | nn.Conv2d) -> Callable[[Any], Any]:
        weight = layer.weight.data
        if isinstance(layer, nn.MaskedConv2d):
            weight = weight * layer.taps[:, :, None, None]
        kernel = torch.from_numpy(weight.astype(np.float32)).permute(3, 2, 0, 1).contiguous(memory_format=form)
        bias = torch.from_numpy(layer.bias.data)  # type: ignore[union-attr]
        padding = (weight.shape[0] // 2, weight.shape[1] // 2)
        return lambda x: functional.conv2d(x, kernel, bias, padding=padding)

    def gate(x: Any) -> Any:
        a, b = x.chunk(2, dim=1)
        return torch.tanh(a) * torch.sigmoid(b)

    head = [convolution(layer) for layer in model.head]
    if isinstance(model, PixelCNN):
        first = convolution(model.first)
        blocks = [[convolution(layer) for layer in (block.narrow, block.masked, block.wide)] for block in model.blocks]

        def features(x: Any) -> Any:
            x = first(x)
            for layers in blocks:
                h = x
                for layer in layers:
                    h = layer(torch.relu(h))
                x = x + h
            return x
    else:
        gated = [
            [convolution(part) for part in (layer.vertical, layer.horizontal, layer.link, layer.last)]
            for layer in model.layers
        ]

        def features(x: Any) -> Any:
            v = h = x
            for i, (vertical, horizontal, link, last) in enumerate(gated):
                a = vertical(v if i == 0 else gate(v))
                change = last(gate(horizontal(h) + link(a)))
                v, h = a, change if i == 0 else h + change
            return h

    def network(x: Any) -> Any:
        x = features(2 * x - 1)
        for layer in head:
            x = layer(torch.relu(x))
        return x

    return network


# ------------------------------------------------------------------------------------------------------ the picture


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw how many images a second each way draws, by the size of the batch."""
    from minigen import plots
    from minigen.plots.style import FREE, GREEN, Stroke, legend_above, new_figure, styled

    strokes = {"cached": Stroke(GREEN), "plain": FREE[0], "torch": FREE[1]}
    labels = {"cached": "cached", "plain": "plain", "torch": "plain, PyTorch"}
    names = list(dict.fromkeys(row["model"] for row in rows))

    @styled
    def picture() -> Any:
        figure = new_figure(6.0 * len(names) + 1, 5.0, "")
        panels = np.atleast_1d(figure.subplots(1, len(names), sharey=True))
        for axes, name in zip(panels, names, strict=True):
            chosen = [row for row in rows if row["model"] == name]
            for way, stroke in strokes.items():
                found = [(row["batch"], row["batch"] / row[f"{way}_s"]) for row in chosen if row[f"{way}_s"]]
                if found:
                    axes.plot(*zip(*found, strict=True), marker="o", label=labels[way], **stroke.keywords)
            batches = [row["batch"] for row in chosen]
            axes.set(xscale="log", yscale="log", xlabel=f"{name}: images drawn at a time")
            axes.set_xticks(batches, [str(n) for n in batches])
            axes.minorticks_off()
        panels[0].set_ylabel("images per second (28 x 28 bits)")
        legend_above(panels[0])
        return figure

    plots.save(picture(), path)


if __name__ == "__main__":
    main()
