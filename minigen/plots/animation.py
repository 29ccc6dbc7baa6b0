"""Moving pictures: a figure, how to draw its i-th frame, and writing the frames as a GIF."""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

from minigen.metrics import optimal_discriminator
from minigen.plots.style import FIXED, LIGHT_GREY, boxes_for_missing_letters, curve, legend_above, new_figure, styled
from minigen.training import write_atomically

DOTS_PER_INCH = 100
COLORS = 64  # of a frame: enough for lines and their smoothed edges, and half the bytes of 256
FRAME_MILLISECONDS, LAST_MILLISECONDS = 120, 2500


class Animation(NamedTuple):
    """A figure that changes.

    Attributes:
        figure: what is seen; between frames only what `draw` changes differs.
        draw: changes the figure to its i-th frame.
        frames: how many there are.
    """

    figure: Figure
    draw: Callable[[int], None]
    frames: int


@styled
def gan_animation(
    x: ArrayLike,
    *,
    p_data: ArrayLike,
    steps: Sequence[int],
    p_generator: Sequence[ArrayLike],
    discriminator: Sequence[ArrayLike],
    is_probability: bool = True,
    title: str = "",
) -> Animation:
    """Show how a one-dimensional generator's density and the discriminator move during training.

    The axes stand still. A density far above the data's, as at the start, is cut off by the upper edge.

    Args:
        x: (M,), points of the data axis, rising.
        p_data: (M,), the data's density at x.
        steps: T training steps, one for each frame.
        p_generator: p_g at those steps, T times (M,).
        discriminator: D at those steps, T times (M,).
        is_probability: whether D is a probability; then D* = p_data / (p_data + p_g) stands beside it. Otherwise D is a score, of which
            only differences mean anything: each frame shows it less its mean over x.
        title: stands above the picture.

    Raises:
        ValueError: there are no frames, or lengths differ.

    Example:
        >>> x = np.linspace(-3, 3, 61)
        >>> p, d = np.exp(-(x**2)), np.full(61, 0.5)
        >>> animation = gan_animation(x, p_data=p, steps=[0, 100], p_generator=[p, p], discriminator=[d, d])
        >>> animation.frames
        2
    """
    x = np.asarray(x, dtype=np.float64)
    p = curve("gan_animation: p_data", p_data, x.size)
    q = [curve(f"gan_animation: p_generator[{i}]", values, x.size) for i, values in enumerate(p_generator)]
    d = [curve(f"gan_animation: discriminator[{i}]", values, x.size) for i, values in enumerate(discriminator)]
    if not len(steps) == len(q) == len(d) > 0:
        raise ValueError(
            f"gan_animation: {len(steps)} steps, {len(q)} densities and {len(d)} discriminators; expected one of each for every frame"
        )
    if not is_probability:
        d = [values - values.mean() for values in d]

    figure = new_figure(8.5, 5.0, title)
    densities = figure.subplots()
    densities.fill_between(x, p, color=LIGHT_GREY, linewidth=0)
    densities.plot(x, p, label=r"$p_{\mathrm{data}}(x)$", **FIXED["p_data"].keywords)
    (generated,) = densities.plot(x, q[0], label="$p_g(x)$", **FIXED["p_g"].keywords)
    densities.set(xlim=(x[0], x[-1]), ylim=(0, 1.6 * p.max()), xlabel="$x$", ylabel="density")
    step = densities.set_title("step 0", loc="right")

    axes = densities.twinx()
    axes.spines["right"].set_visible(True)
    axes.grid(visible=False)
    (judged,) = axes.plot(x, d[0], label="$D(x)$", **FIXED["D"].keywords)
    best = None
    if is_probability:
        (best,) = axes.plot(x, optimal_discriminator(p, q[0]), label="$D^*(x)$", **FIXED["D*"].keywords)
        axes.set(ylim=(0, 1.03), ylabel="$D(x)$")
    else:
        reach = 1.05 * float(np.percentile([np.abs(values).max() for values in d], 90)) or 1.0
        axes.set(ylim=(-reach, reach), ylabel="$D(x)$, a score less its mean")
    legend_above(densities, axes)

    def draw(i: int) -> None:
        generated.set_ydata(q[i])
        judged.set_ydata(d[i])
        if best is not None:
            best.set_ydata(optimal_discriminator(p, q[i]))
        step.set_text(f"step {steps[i]:,}")

    return Animation(figure, draw, len(steps))


@styled
def save_animation(animation: Animation, path: str | os.PathLike[str]) -> None:
    """Write an animation as a GIF that repeats; the same animation gives the same bytes.

    The file is written by `training.write_atomically`, so `path` never holds half of it.

    Args:
        animation: what to draw.
        path: a file ending in .gif.

    Raises:
        ValueError: another suffix.

    Example:
        >>> save_animation(Animation(Figure(), lambda i: None, 1), "training.mp4")
        Traceback (most recent call last):
        ValueError: save_animation: 'training.mp4' ends in '.mp4'; an animation is written as .gif
    """
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise ValueError(f"save_animation: {str(path)!r} ends in {path.suffix!r}; an animation is written as .gif")
    figure = animation.figure
    figure.set_dpi(DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    images = []
    for i in range(animation.frames):
        animation.draw(i)
        with boxes_for_missing_letters():
            canvas.draw()
        figure.set_layout_engine("none")  # the first frame's layout holds for all: nothing jumps, and drawing is faster
        image = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")
        images.append(image.quantize(COLORS, dither=Image.Dither.NONE))
    durations = [FRAME_MILLISECONDS] * (len(images) - 1) + [LAST_MILLISECONDS]
    content = io.BytesIO()
    images[0].save(content, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    write_atomically(path, content.getvalue())
