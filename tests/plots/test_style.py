"""What holds of every picture: legible letters, labelled axes, nothing cut off, and no global state."""

import functools
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

import minigen as mg
from minigen import plots
from minigen.plots.style import FIXED, FREE

x = np.linspace(-3.0, 3.0, 31)
t = np.arange(1.0, 6.0)


def _gan():
    p, q = np.exp(-(x**2)), np.exp(-((x - 1) ** 2))
    return plots.gan_densities(
        x, p_data=p, p_generator=q, discriminator=p / (p + 2 * q), discriminator_label="D(x), no probability",
        optimal=p / (p + q), latent=t, generated=t - 3, latent_dimension=8, title="title",
    )  # fmt: skip


def _training():
    return plots.training_curves(
        t, losses={"D": t, "G": 1 / t}, equilibrium={"D": 1.386, "G": 0.693}, distance=1 / t, floor=0.1,
        gradient_norm=1 / t, title="title",
    )  # fmt: skip


def _saturation():
    return plots.saturation(
        t, norms={"minimax": 1 / t, "non-saturating": t}, discriminator_on_fake=1 / t, title="title"
    )


def _estimators():
    drawn = {"score function": np.outer(t, t), "reparameterized": np.outer(t, t) / 9}
    return plots.estimator_spread(
        t, estimates=drawn, exact=t, samples=t, deviations=dict.fromkeys(drawn, 1 / t), title="title"
    )


def _gaussian():
    identity = np.eye(2)
    return plots.gaussian_fit(
        np.column_stack([t, t**2]), mean=[1, 1], covariance=identity, exact_mean=[0, 0], exact_covariance=identity,
        steps=t, history=1 / t, title="title",
    )  # fmt: skip


def _divergences():
    return plots.divergence_curves(
        t, values={"a": {"W1": t, "KL(p || q)": np.inf * t}, "b": {"W1": t, "KL(p || q)": t}},
        gradients={name: {"W1": t, "KL(p || q)": 1 / t} for name in "ab"}, limits=(4, 2), dots={"a": [(2, 0)]}, title="title",
    )  # fmt: skip


def _plans():
    return plots.transport_plans(
        [1, 2, 4], [4, 6], plans={"one": [[2, 1], [0, 1], [1, 0]], "other": [[1, 2], [1, 0], [1, 0]]}, title="title"
    )


def _plane():
    return plots.planar_plans(
        [[0, 0], [4, 2]], [[1, 3], [5, 0]], a=[3, 1], b=[2, 2], plans={"one": [[2, 1], [0, 1]], "other": [[1, 2], [1, 0]]},
        title="title",
    )  # fmt: skip


def _filters():
    image = np.outer(t, t)
    return plots.filters_and_maps(image, filters=np.ones((3, 3, 7)), maps=np.stack([image] * 7, axis=2), title="title")


def _confusion():
    return plots.confusion_matrix(1100 * np.eye(10) + np.arange(10), classes="0123456789", title="title")


def _mistakes():
    log_p = np.log(np.tile([[0.998, 0.002]], (9, 1)))
    return plots.worst_mistakes(
        np.ones((9, 8, 8)), labels=[1] * 9, log_probabilities=log_p, classes="ab", title="title"
    )


def _graph():
    return plots.graph(mg.tanh(mg.tensor(1.0, requires_grad=True) * 2.0))


images = np.outer(t, np.ones(8 * 8)).reshape(5, 8, 8, 1) / 5


def _grid():
    return plots.image_grid(images, title="a title much wider than the few images that are below it")


def _manifold():
    lattice = np.stack([images] * 5)
    return plots.latent_manifold(lattice, values=t, title="title")


def _codes():
    codes = plots.Codes(np.column_stack([t, t**2]), [1, 2], np.eye(2))
    classes = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Ankle boot")
    return plots.latent_codes({"one": codes, "other:\nmore": codes}, labels=range(5), classes=classes, title="title")


def _arithmetic():
    terms = [("", "an image", images), ("-", "the mean of its class", images)]
    return plots.vector_arithmetic(terms, result=("what comes of it", images), title="title")


def _units():
    return plots.unit_divergences(t, active=t > 2, title="title")


def _bounds():
    bounds = {"ELBO, batches": -100 / t, "ELBO, test images": -120 / t, "$L_5$, batches": -90 / t}
    return plots.bound_curves(t, bounds=bounds, levels={"$L_{5000}$, test images": -90.0}, title="title")


def _rows():
    return plots.image_rows(
        [("nearest\ntraining images", images), ("a", images[:2])], columns="abcde", columns_label="class", title="title"
    )


LABELLED = [
    _gan, _training, _saturation, _estimators, _gaussian, _divergences, _plans, _plane, _filters, _confusion, _mistakes, _grid, _manifold,
    _codes, _arithmetic, _units, _bounds,
]  # fmt: skip
PICTURES = [*LABELLED, _graph, _rows]  # a row of images is its own label


@functools.cache
def drawn(picture):
    """A figure that no test changes."""
    figure = picture()
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("picture", PICTURES)
def test_letters_are_legible_and_none_is_cut_off(picture):
    figure = drawn(picture)
    for text in figure.findobj(Text):
        assert text.get_fontsize() >= 11, text
    box, page = figure.get_tightbbox(), figure.bbox_inches
    assert min(box.x0, box.y0) >= -1e-9
    assert box.x1 <= page.x1 + 1e-9
    assert box.y1 <= page.y1 + 1e-9


@pytest.mark.parametrize("picture", LABELLED)
def test_every_axis_with_ticks_has_a_label(picture):
    for panel in drawn(picture).axes:
        for axis in (panel.xaxis, panel.yaxis):
            ticked = axis.get_visible() and any(
                label.get_visible() and label.get_text() for label in axis.get_ticklabels()
            )
            assert axis.get_label_text() or not ticked


@pytest.mark.parametrize("picture", [_gan, _training, _saturation, _units, _bounds])
def test_legends_stand_above_their_panels(picture):
    for panel in drawn(picture).axes:
        if panel.get_legend():
            assert panel.get_legend().get_window_extent().y0 >= panel.get_window_extent().y1


def test_no_two_quantities_drawn_together_look_alike():
    together = [FIXED["p_data"], FIXED["p_g"], FIXED["D"], FIXED["D*"], *FREE]
    assert len({line.color for line in together}) == len(together)


def test_settings_of_matplotlib_are_left_alone():
    before = dict(matplotlib.rcParams)
    for picture in PICTURES:
        picture()
    assert dict(matplotlib.rcParams) == before


def test_matplotlib_comes_with_the_first_picture_and_pyplot_never(tmp_path):
    code = (
        "import sys, minigen; assert 'matplotlib' not in sys.modules; from minigen import plots;"
        f"plots.save(plots.graph(minigen.tensor(1.0, requires_grad=True)), {str(tmp_path / 'a.png')!r});"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
