"""Belief net, NADE and MADE on digits: exact figures, runs resumed, evaluated and sampled from, and what is refused."""

import numpy as np
import pytest

from minigen import lessons, plots
from minigen.data import binarize, load_images
from minigen.models import MADE
from minigen.random import Generator
from minigen.training import read_state

from .running import ended, figures_in, files_in, interrupted, loaded, refusal, run_alone, run_here, without_time

SHORT = ["--steps", "12", "--hidden", "20", "--no-plots"]


def test_the_figures_are_the_exact_ones_of_the_model_in_the_checkpoint(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "made", tmp_path, *SHORT, "--binarization", "static", "--seed", "3")
    assert files_in(tmp_path) == {lessons.CHECKPOINT, "metrics.json"}
    state = read_state(tmp_path / lessons.CHECKPOINT)
    made = MADE((8, 8, 1), hidden=(20,), rng=Generator(0))
    made.load_state({name[6:]: value for name, value in state.items() if name.startswith("model.")})
    training, test = load_images("digits")
    for name, images, key in (("test", test, 1), ("training", training, 0)):
        log_p = made.log_prob(binarize(images.unit(), protocol="static", key=key)).detach().numpy()
        assert figures[f"{name}_log_likelihood"] == pytest.approx(log_p.mean(), rel=1e-5)
    bits = -figures["test_log_likelihood"] / np.log(2) / 64
    assert figures["test_bits_per_pixel"] == figures["bits_per_dimension"] == pytest.approx(bits)
    assert figures["ordering_log_likelihoods"] == [pytest.approx(figures["test_log_likelihood"], rel=1e-5)]
    assert figures["parameters"] == 64 * 20 + 20 + 20 * 64 + 64
    assert figures["epochs"] == 12 / 14


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"model": "made", "hidden": (128,), "ordering": "natural", "steps": 3000, "batch_size": 100, "learning_rate": 3e-3}),
        (["--orderings", "2"], {"ordering": "random", "hidden": (128,)}),
        (["--orderings", "2", "--ordering", "natural"], {"ordering": "natural"}),
        (["--model", "nade"], {"hidden": (128,), "learning_rate": 1e-2, "weight_decay": 0.0}),
        (["--model", "belief-net", "--data", "mnist"], {"hidden": (), "learning_rate": 1e-2, "steps": 30_000}),
        (["--data", "mnist"], {"hidden": (500,), "steps": 30_000, "batch_size": 100}),
        (["--data", "fashion", "--model", "nade"], {"hidden": (500,), "steps": 30_000}),
    ],
)  # fmt: skip
def test_defaults_depend_on_the_data_the_model_and_the_number_of_orderings(words, expected):
    found = lessons.read_command_line(loaded("made")["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one_and_is_evaluated_alike(tmp_path, monkeypatch):
    options = [*SHORT, "--orderings", "3", "--direct"]
    unbroken = run_here(monkeypatch, "made", tmp_path / "unbroken", *options)
    words = interrupted(monkeypatch, "made", tmp_path / "broken", *options, where=(MADE, "loss"), after=5)
    assert "stopped after 5 of 12 steps" in words
    resumed = run_here(monkeypatch, "made", tmp_path / "broken", *options, "--resume")
    assert without_time(resumed) == without_time(unbroken)

    (tmp_path / "unbroken" / "metrics.json").unlink()
    folder = tmp_path / "unbroken"
    assert run_here(monkeypatch, "made", folder, "--evaluate", folder, "--no-plots") == unbroken


@pytest.mark.slow
def test_samples_of_a_finished_run(tmp_path, monkeypatch):
    run_here(monkeypatch, "made", tmp_path, "--model", "nade", "--steps", "3", "--no-plots")
    run_here(monkeypatch, "made", tmp_path, "--sample", "7")
    with np.load(tmp_path / "samples.npz") as arrays:
        samples = arrays["samples"]
    assert samples.shape == (7, 8, 8, 1)
    assert set(np.unique(samples)) == {0, 1}
    assert (tmp_path / "samples.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "pictures"),
    [
        (("--model", "belief-net"), {"samples", "completions", "weights", "pixels"}),
        (("--model", "nade"), {"samples", "completions", "weights", "pixels"}),
        (("--orderings", "2"), {"samples", "completions", "weights", "pixels", "orderings"}),
    ],
)
def test_pictures(options, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "save_animation", lambda _, path: path.touch())  # it takes longest
    run_here(monkeypatch, "made", tmp_path, *options, "--steps", "2", "--format", "svg")
    expected = {lessons.CHECKPOINT, "metrics.json", "growing.gif", *(f"{name}.svg" for name in pictures)}
    assert files_in(tmp_path) == expected


@pytest.mark.slow
def test_growing_images_come_in_the_order_of_the_model_and_the_rest_is_blank(tmp_path, monkeypatch):
    frames, growing_images = [], plots.growing_images

    def growing(shown, **keywords):
        frames.extend(shown)
        return growing_images(shown, **keywords)

    monkeypatch.setattr(plots, "growing_images", growing)
    monkeypatch.setattr(plots, "save_animation", lambda *_: None)
    run_here(monkeypatch, "made", tmp_path, "--ordering", "random", "--steps", "1", "--format", "svg")
    order = np.argsort(read_state(tmp_path / lessons.CHECKPOINT)["model.degrees.0"])
    assert (order != np.arange(64)).any()
    assert [pixels for pixels, _ in frames] == sorted({pixels for pixels, _ in frames})
    finished = frames[-1][1].reshape(-1, 64)
    for pixels, images in frames:
        np.testing.assert_array_equal(images.reshape(-1, 64)[:, order[:pixels]], finished[:, order[:pixels]])
        assert not images.reshape(-1, 64)[:, order[pixels:]].any()
    assert finished.any(axis=0).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "belief-net", "--hidden", "3"), "and a belief net has none"),
        (("--model", "nade", "--hidden", "3", "3"), "nade has one hidden layer"),
        (("--model", "nade", "--hidden"), "nade has one hidden layer"),
        (("--hidden",), "made has at least one hidden layer"),
        (("--model", "nade", "--orderings", "2"), "belong to made, but --model nade is given"),
        (("--model", "nade", "--ordering", "random"), "belong to made, but --model nade is given"),
        (("--model", "belief-net", "--direct"), "belong to made, but --model belief-net is given"),
        (("--orderings", "0"), "--orderings: 0 must be at least 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, words, tmp_path, monkeypatch, capsys):
    assert words in refusal(capsys, monkeypatch, "made", *options, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_of_another_model_is_refused_with_the_differences(tmp_path, monkeypatch):
    run_here(monkeypatch, "made", tmp_path, *SHORT)
    words = ended(monkeypatch, "made", *SHORT, "--model", "nade", "--resume", "--out", tmp_path)
    assert "model: 'made' there, 'nade' now" in words
    words = ended(monkeypatch, "made", "--sample", "3", "--out", tmp_path / "none")
    assert "there is no run in" in words
    assert figures_in(tmp_path)["model"] == "made"


@pytest.mark.slow
def test_hidden_units_tell_more_than_pairs_of_pixels(tmp_path):
    _, net = run_alone("made", tmp_path / "net", "--model", "belief-net", "--no-plots")
    _, made = run_alone("made", tmp_path / "made", "--no-plots")
    assert net["test_log_likelihood"] > -18.7
    assert made["test_log_likelihood"] > net["test_log_likelihood"] + 0.3
