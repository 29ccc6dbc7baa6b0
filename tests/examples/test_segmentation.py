"""Masks of digits in clutter: figures of the simple answer, defaults, refusals; runs resumed, evaluated and sampled from; pictures."""

import numpy as np
import pytest

from minigen import lessons
from minigen.data import clutter, load_images
from minigen.models import Together, intersection_over_union
from minigen.random import Generator

from .running import ended, entries, files_in, interrupted, loaded, refusal, run_alone, run_here, without_time

NAME = "segmentation"
SHORT = ["--widths", "3", "4", "--batch-size", "8", "--no-plots", "--steps"]


def run(monkeypatch, out, *options, steps=6):
    return run_here(monkeypatch, NAME, out, *SHORT, steps, *options)


def test_the_networks_are_judged_beside_all_ink_on_the_same_pictures(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, steps=1)
    _, test = load_images("digits")
    images, masks = clutter(test.unit(), size=16, fragments=2, rng=Generator(2015))
    all_ink = intersection_over_union(images >= 0.5, masks)
    judged, worst = figures["intersection_over_union"], figures["worst_tenth"]
    assert judged["all_ink"] == pytest.approx(all_ink.mean())
    assert worst["all_ink"] == pytest.approx(np.quantile(all_ink, 0.1))
    assert judged.keys() == worst.keys() == {"all_ink", "skips", "plain"}
    assert all(0 <= found <= 1 for found in (*judged.values(), *worst.values()))

    def convolutions(before, after):
        return 9 * before * after + 9 * after * after + 2 * after

    handed_over = convolutions(4 + 3, 3) - convolutions(4, 3)  # the weights for the skip connection's channels
    plain = convolutions(1, 3) + convolutions(3, 4) + convolutions(4, 3) + 3 + 1
    assert figures["parameters"] == {"skips": plain + handed_over, "plain": plain}
    assert (figures["size"], figures["fragments"]) == (16, 2)
    assert (figures["training_images"], figures["test_pictures"]) == (1438, 359)
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"widths": (12, 24, 48), "steps": 1200}),
        (["--data", "mnist"], {"widths": (16, 32, 64, 128), "steps": 3000}),
    ],
)
def test_defaults_depend_on_the_data(words, expected):
    found = lessons.read_command_line(loaded(NAME)["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected
    assert (found.batch_size, found.learning_rate) == (32, 3e-3)


def test_the_canvases_are_larger_for_mnist():
    found = loaded(NAME)["CLUTTER"]
    assert found == {"digits": {"size": 16, "fragments": 2}, "mnist": {"size": 48, "fragments": 6}}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--widths"], "--widths: there must be at least one level"),
        (["--widths", "4", "0"], "--widths: 0 must be at least 1"),
        (["--data", "fashion"], "invalid choice 'fashion' for argument '--data'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, words, monkeypatch, capsys):
    assert words in refusal(capsys, monkeypatch, NAME, *options)


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one_and_is_measured_again_to_the_same_figures(tmp_path, monkeypatch):
    expected, broken = run(monkeypatch, tmp_path / "unbroken"), tmp_path / "broken"
    words = interrupted(monkeypatch, NAME, broken, *SHORT, "6", where=(Together, "loss"), after=4)
    assert "stopped after 4 of 6 steps" in words
    assert without_time(run(monkeypatch, broken, "--resume")) == without_time(expected)
    one, other = (entries(folder / "checkpoint.safetensors") for folder in (tmp_path / "unbroken", broken))
    assert one == other

    (broken / "metrics.json").unlink()
    again = run_here(monkeypatch, NAME, broken, "--evaluate", broken, "--format", "svg")
    assert without_time(again) == without_time(expected)
    assert files_in(broken) == {"checkpoint.safetensors", "metrics.json", "found.svg"}


@pytest.mark.slow
def test_as_many_samples_as_asked_for_the_same_each_time(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path, steps=2)
    drawn = []
    for _ in range(2):
        run_here(monkeypatch, NAME, tmp_path, "--sample", "7")
        with np.load(tmp_path / "samples.npz") as arrays:
            assert {name: arrays[name].shape for name in arrays} == dict.fromkeys(
                ("images", "masks", "skips", "plain"), (7, 16, 16, 1)
            )
            drawn.append(arrays["images"])
    np.testing.assert_array_equal(*drawn)
    assert (tmp_path / "samples.png").stat().st_size > 1000


@pytest.mark.slow
def test_there_must_be_a_run_to_draw_from(tmp_path, monkeypatch):
    words = ended(monkeypatch, NAME, "--sample", 3, "--out", tmp_path / "typo")
    assert words.startswith("error: there is no run in")
    assert not (tmp_path / "typo").exists()


@pytest.mark.slow
def test_skip_connections_find_the_digits_better(tmp_path):
    _, figures = run_alone(NAME, tmp_path, "--no-plots")
    judged = figures["intersection_over_union"]
    assert judged["skips"] > 0.65
    assert judged["skips"] > judged["plain"] + 0.05 > judged["all_ink"]
