"""How long drawing takes: images of 28 x 28 bits, one pixel after the other, and texts of 128 characters, one after the other.

    pixelcnn, gated_pixelcnn     those of `pixelcnn_steps.py`: five residual blocks of 64 channels, or five layers of two stacks of 32
    row_lstm, diagonal_bilstm    those of `pixelrnn_step.py`: four layers of LSTMs of 32 features, 64 channels between
    made                         `models.MADE`: one hidden layer of 500 units
    lstm, transformer            those of `sequence_steps.py`: one LSTM or four blocks of 256 features

Each is sampled in three ways. *Plain*: the whole network for every pixel or character. *Cached*: each time what is new there. *PyTorch*:
the whole network for every pixel, or for the text so far, with PyTorch's layers, eagerly, in the better layout. The cached time is that of
whole samples. The others are a step's time, times 784 or 128: all steps cost the same, but those of PyTorch for a text, which grow with
it; of these it is one in the middle, of 64 characters.

forward_s is one pass of the network for the batch, as log p costs it; `passes` says how many of those a cached sample takes, where the
plain one takes 784 or 128.

    python benchmarks/sampling.py [--models NAME ...] [--batches N ...] [--threads 2] [--quick] [--json F] [--plot F]
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import harness
import numpy as np
import pixelcnn_steps
import pixelrnn_step
import sampling_twins as twins
import sequence_steps

from minigen.engine import no_grad
from minigen.kernels.memory import kept_memory
from minigen.kernels.threads import one_blas_thread
from minigen.models import MADE
from minigen.models.autoregressive import Autoregressive, PlainStepper
from minigen.random import Generator

SIZE = (28, 28, 1)


class Sampled(NamedTuple):
    """A model, and its twin in PyTorch."""

    draws: str  # "images" or "texts"
    build: Callable[[], Autoregressive]
    twin: Callable[[Any, Any, str], twins.Network]  # of PyTorch, the model and a layout
    layouts: tuple[str, ...]


def trained(steps: Any, name: str, draws: str) -> Sampled:
    """Return a model whose training step is timed, too, by a module that has it in both libraries, such as `pixelcnn_steps`."""

    def build() -> Autoregressive:
        (player,) = steps.minigen_players(name, "cpu")
        return player.net

    def twin(torch: Any, model: Any, layout: str) -> twins.Network:
        (player,) = steps.torch_players(torch, name, layout, "cpu")
        return player.net

    return Sampled(draws, build, twin, steps.LAYOUTS)


def made() -> MADE:
    return MADE(SIZE, hidden=(500,), rng=Generator(0))


MODELS = {
    "pixelcnn": trained(pixelcnn_steps, "pixelcnn", "images"),
    "gated_pixelcnn": trained(pixelcnn_steps, "gated_pixelcnn", "images"),
    "row_lstm": trained(pixelrnn_step, "row_lstm", "images"),
    "diagonal_bilstm": trained(pixelrnn_step, "diagonal_bilstm", "images"),
    "made": Sampled("images", made, twins.made, ("contiguous",)),
    "lstm": trained(sequence_steps, "lstm", "texts"),
    "transformer": trained(sequence_steps, "transformer", "texts"),
}
STEPS = {"images": twins.image_step, "texts": twins.text_step}
"""What is drawn -> what a plain sampler in PyTorch does at one step."""
BATCHES, QUICK_BATCHES = (1, 4, 16, 64, 256), (2,)
COLUMNS = (
    "model", "batch", "plain_s", "cached_s", "speedup", "torch_s", "forward_s", "passes", "images_per_s", "texts_per_s"
)  # fmt: skip


def main() -> None:
    options = harness.arguments(__doc__, add=add_options)
    if harness.torch():
        harness.torch().set_num_threads(options.threads)
    batches = options.batches or (QUICK_BATCHES if options.quick else BATCHES)
    with one_blas_thread(), kept_memory(), no_grad():
        rows = [compare(name, n, options) for name in options.models for n in batches]
    title = "Sampling images of 784 pixels and texts of 128 characters"
    harness.show(rows, f"{title}, {options.threads} threads, seconds for a batch", COLUMNS)
    harness.write(rows, options)
    if options.plot:
        draw(rows, options.plot)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME", help="which of them (all)"
    )
    parser.add_argument(
        "--batches",
        nargs="+",
        type=int,
        metavar="N",
        help="how many are drawn at a time (1, 4, 16, 64, 256; quickly 2)",
    )


def compare(name: str, n: int, options: argparse.Namespace) -> dict[str, Any]:
    """Time the ways to draw n images or texts, and return the row."""
    sampled = MODELS[name]
    model, rng = sampled.build(), Generator(1)
    x = model.sample(n, rng=rng)  # also compiles
    works: dict[str, harness.Work] = {
        "forward": lambda: model.predict(x),
        "plain": plain_step(model, x),
        "cached": lambda: model.sample(n, rng=rng),
    }
    torch = harness.torch()
    if torch:
        step = STEPS[sampled.draws]
        candidates = {layout: step(torch, sampled.twin(torch, model, layout), x, layout) for layout in sampled.layouts}
        trial = harness.milliseconds(candidates, harness.QUICK if options.quick else harness.TRIAL)
        best = min(trial, key=lambda layout: float(np.median(trial[layout])))
        works["torch"] = candidates[best]
    times = {work: values / 1e3 for work, values in harness.milliseconds(works, options.effort).items()}
    for work in ("plain", "torch"):
        if work in times:
            times[work] *= model.sites
    seconds = {f"{work}_s": harness.median(values) for work, values in times.items()}
    row = {"model": name, "batch": n, "torch_s": None, **seconds}
    return row | {
        "speedup": harness.rounded(row["plain_s"] / row["cached_s"]),
        "passes": harness.rounded(row["cached_s"] / row["forward_s"]),
        f"{sampled.draws}_per_s": harness.rounded(n / row["cached_s"]),
        "torch_setting": best if torch else None,
        "quartiles": {work: harness.quartiles(values) for work, values in times.items()},
        "repetitions": {work: len(values) for work, values in times.items()},
    }


def plain_step(model: Autoregressive, x: np.ndarray) -> harness.Work:
    """Return what the plain sampler does for one pixel or character, in the middle."""
    stepper, flat, u = PlainStepper(model, None), x.reshape(len(x), -1), np.full(len(x), 0.5, np.float32)
    return lambda: model.conditional.quantile(stepper.parameters(flat, model.sites // 2), u)


# ------------------------------------------------------------------------------------------------------ the picture


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw how many images or texts a second each way draws, by the size of the batch."""
    from minigen import plots
    from minigen.plots.style import FREE, GREEN, Stroke, new_figure, styled

    strokes = {"cached": Stroke(GREEN), "plain": FREE[0], "torch": FREE[1]}
    labels = {"cached": "cached", "plain": "plain", "torch": "plain, PyTorch"}
    names = list(dict.fromkeys(row["model"] for row in rows))
    columns = min(4, len(names))
    lines = -(-len(names) // columns)

    @styled
    def picture() -> Any:
        figure = new_figure(4.3 * columns + 1, 4.0 * lines + 0.5, "")
        panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes in panels.flat[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(panels.flat, names, strict=False):
            chosen = [row for row in rows if row["model"] == name]
            for way, stroke in strokes.items():
                found = [(row["batch"], row["batch"] / row[f"{way}_s"]) for row in chosen if row[f"{way}_s"]]
                if found:
                    axes.plot(*zip(*found, strict=True), marker="o", label=labels[way], **stroke.keywords)
            batches = [row["batch"] for row in chosen]
            axes.set(xscale="log", yscale="log", title=name, xlabel=f"{MODELS[name].draws} drawn at a time")
            axes.set_xticks(batches, [str(n) for n in batches])
            axes.minorticks_off()
        for axes in panels[:, 0]:
            axes.set_ylabel("drawn per second")
        figure.legend(handles=panels[0, 0].get_lines(), loc="outside upper left", ncols=3)
        return figure

    plots.save(picture(), path)


if __name__ == "__main__":
    main()
