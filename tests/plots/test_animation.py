"""The animation: what each frame shows, and a file that is whole, moves, and is the same each time."""

import itertools

import numpy as np
import pytest
from PIL import Image

from minigen.plots import gan_animation, save_animation
from minigen.plots.animation import Animation

X = np.linspace(-3, 3, 61)
P = np.exp(-0.5 * X**2) / np.sqrt(2 * np.pi)
DENSITIES = [np.exp(-0.5 * (X - shift) ** 2) / np.sqrt(2 * np.pi) for shift in (2.0, 1.0, 0.0)]
SIGMOIDS = [1 / (1 + np.exp(slope * X)) for slope in (3.0, 1.0, 0.0)]


def animation(**settings):
    return gan_animation(
        X, p_data=P, steps=[0, 1000, 2000], p_generator=DENSITIES, discriminator=SIGMOIDS, title="GAN", **settings
    )


def drawn(axes, label):
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line.get_ydata()


def test_each_frame_has_its_curves():
    made = animation()
    densities, judged = made.figure.axes
    assert made.frames == 3
    for i in (2, 0, 1):
        made.draw(i)
        np.testing.assert_array_equal(drawn(densities, "$p_g(x)$"), DENSITIES[i])
        np.testing.assert_array_equal(drawn(judged, "$D(x)$"), SIGMOIDS[i])
        np.testing.assert_allclose(drawn(judged, "$D^*(x)$"), P / (P + DENSITIES[i]))
        np.testing.assert_array_equal(drawn(densities, r"$p_{\mathrm{data}}(x)$"), P)
        assert densities.get_title("right") == f"step {1000 * i:,}"
    np.testing.assert_array_equal(drawn(judged, "$D^*(x)$")[30], P[30] / (P[30] + DENSITIES[1][30]))


def test_the_axes_stand_still_and_are_labelled():
    made = animation()
    before = [(axes.get_xlim(), axes.get_ylim()) for axes in made.figure.axes]
    made.draw(2)
    assert [(axes.get_xlim(), axes.get_ylim()) for axes in made.figure.axes] == before
    assert [axes.get_ylabel() for axes in made.figure.axes] == ["density", "$D(x)$"]
    assert made.figure.axes[0].get_xlabel() == "$x$"
    assert made.figure.get_suptitle() == "GAN"


def test_a_score_is_shown_less_its_mean():
    scores = [5.0 + X, 100.0 - 2 * X, X**2]
    made = gan_animation(
        X, p_data=P, steps=[0, 1, 2], p_generator=DENSITIES, discriminator=scores, is_probability=False
    )
    _, judged = made.figure.axes
    assert [line.get_label() for line in judged.lines] == ["$D(x)$"]
    for i, expected in enumerate((X, -2 * X, X**2 - np.mean(X**2))):
        made.draw(i)
        np.testing.assert_allclose(drawn(judged, "$D(x)$"), expected, atol=1e-12)
    low, high = judged.get_ylim()
    assert 5 < high == -low < 8


def test_the_file_moves_and_repeats_itself(tmp_path):
    for name in ("first", "second"):
        save_animation(animation(), tmp_path / name / "training.gif")
    first = tmp_path / "first" / "training.gif"
    assert first.read_bytes() == (tmp_path / "second" / "training.gif").read_bytes()
    with Image.open(first) as image:
        assert (image.n_frames, image.size, image.info["loop"]) == (3, (850, 500), 0)
        frames = []
        for i in range(3):
            image.seek(i)
            frames.append(np.asarray(image.convert("RGB")))
            assert image.info["duration"] == (2500 if i == 2 else 120)
    assert all((one != other).any() for one, other in itertools.pairwise(frames))
    green = np.array([0x00, 0x9E, 0x73])
    columns = []
    for frame in frames:
        is_green = (np.abs(frame.astype(int) - green) < 12).all(axis=2)
        is_green[:70] = False  # the legend
        columns.append(np.flatnonzero(is_green[is_green.any(axis=1).argmax()]).mean())  # of p_g's top
    assert columns[0] - columns[1] == pytest.approx(columns[1] - columns[2], rel=0.1)
    assert columns[0] - columns[1] > 80  # it moves to the left by 1 of 6


def test_frames_and_curves_must_fit():
    with pytest.raises(ValueError, match="gan_animation: 3 steps, 3 densities and 1 discriminators"):
        gan_animation(X, p_data=P, steps=[0, 1, 2], p_generator=DENSITIES, discriminator=SIGMOIDS[:1])
    with pytest.raises(ValueError, match="0 steps, 0 densities"):
        gan_animation(X, p_data=P, steps=[], p_generator=[], discriminator=[])
    with pytest.raises(ValueError, match=r"gan_animation: p_generator\[1\] has shape \(60,\)"):
        gan_animation(X, p_data=P, steps=[0, 1], p_generator=[P, P[1:]], discriminator=[P, P])


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends in '.png'; an animation is written as .gif"):
        save_animation(animation(), tmp_path / "training.png")
    failing = Animation(animation().figure, lambda i: 1 / 0, 1)
    with pytest.raises(ZeroDivisionError):
        save_animation(failing, tmp_path / "training.gif")
    assert not (tmp_path / "training.gif").exists()
