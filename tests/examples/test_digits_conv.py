"""The digit classifier: what it writes, MNIST from a folder, runs that are broken off, resumed, refused; and how well it reads."""

import hashlib
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from minigen import lessons
from minigen.data import load_digits, load_mnist, split
from minigen.models import ConvClassifier
from minigen.training import load_classifier, read_state

from .running import ended, entries, files_in, interrupted, loaded, refusal, run_alone, run_here, without_time

SHORT = ["--steps", "40", "--no-plots"]
NETWORK = "feature-extractor-digits.safetensors"
STEP = (ConvClassifier, "loss")


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "digits_conv", out, *SHORT, *options)


def refused(monkeypatch, out, *options):
    """Run it where it is to end with a sentence; return that."""
    words = ended(monkeypatch, "digits_conv", *SHORT, *options, "--out", out)
    assert isinstance(words, str)
    return words


# ------------------------------------------------------------------------------------------------------------- what it leaves


def test_the_figures_of_a_short_run_are_those_of_the_network_in_the_file(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "digits_conv", tmp_path, "--steps", "20", "--no-plots")
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json", NETWORK}
    training, test = split(load_digits())
    assert figures["training_images"] == len(training.images) == 1438
    assert figures["test_images"] == len(test.images) == 359

    network = load_classifier(tmp_path / NETWORK)
    assert network.features(test.unit()).shape == (359, 64)
    log_p = network.predict(test.unit())
    predicted, confusion = log_p.argmax(axis=1), np.array(figures["confusion"])
    for true in range(10):
        for said in range(10):
            assert confusion[true, said] == ((test.labels == true) & (predicted == said)).sum()
    assert figures["errors"] == (predicted != test.labels).sum() == 359 - confusion.trace()
    assert figures["accuracy"] == 1 - figures["errors"] / 359
    assert figures["class_accuracy"][3] == (predicted[test.labels == 3] == 3).mean()
    right = [log_p[n, label] for n, label in enumerate(test.labels)]
    assert figures["cross_entropy"] == pytest.approx(-np.mean(right), rel=1e-5)
    # Two convolutions with the scales and shifts of their channels, 2 x 2 x 32 pooled numbers, 64 features.
    assert figures["parameters"] == 9 * 16 + 32 + 9 * 16 * 32 + 64 + (128 + 1) * 64 + (64 + 1) * 10
    named = figures["feature_extractor"]
    assert named == {"file": NETWORK, "sha256": hashlib.sha256((tmp_path / NETWORK).read_bytes()).hexdigest()}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"kernel_size": 3, "widths": (16, 32), "features": 64, "batch_size": 64, "steps": 880, "learning_rate": 3e-3}),
        (["--data", "mnist"], {"kernel_size": 5, "widths": (16, 32), "features": 64, "batch_size": 128, "steps": 1404,
         "learning_rate": 3e-3}),
    ],
)  # fmt: skip
def test_defaults_depend_on_the_data(words, expected):
    found = lessons.read_command_line(loaded("digits_conv")["defaults"], words)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.slow
def test_another_seed_is_another_network_tested_on_the_same_images(tmp_path, monkeypatch):
    one, other = (run(monkeypatch, tmp_path / seed, "--seed", seed) for seed in "12")
    assert one["feature_extractor"]["sha256"] != other["feature_extractor"]["sha256"]
    assert np.array_equal(np.sum(one["confusion"], axis=1), np.sum(other["confusion"], axis=1))


@pytest.mark.slow
def test_another_network_is_built_and_its_pictures_are_drawn(tmp_path, monkeypatch):
    options = ["--steps", "2", "--kernel-size", "2", "--widths", "5", "--features", "7"]
    figures = run_here(monkeypatch, "digits_conv", tmp_path, *options)
    assert figures["parameters"] == 4 * 5 + 10 + (16 * 5 + 1) * 7 + (7 + 1) * 10
    assert {path.name for path in tmp_path.glob("*.png")} == {"filters.png", "confusion.png", "mistakes.png"}


# --------------------------------------------------------------------------------------------------------- MNIST from a folder


def small_mnist(folder, training=150):
    """Write MNIST's files with few images of noise."""
    folder.mkdir()
    for part, n in (("train", training), ("t10k", 20)):
        pixels = np.random.default_rng(n).integers(0, 256, (n, 28, 28), dtype=np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, *pixels.shape) + pixels.tobytes())
        labels = (np.arange(n) % 10).astype(np.uint8)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, n) + labels.tobytes())
    return folder


@pytest.mark.slow
def test_mnist_is_read_from_a_folder_and_drawn_in_another_format(tmp_path, monkeypatch):
    out, options = tmp_path / "out", ["--steps", "2", "--format", "svg", "--data-dir", small_mnist(tmp_path / "small")]
    figures = run_here(monkeypatch, "digits_conv", out, "--data", "mnist", *options)
    assert (figures["training_images"], figures["test_images"], figures["batch_size"]) == (150, 20, 128)
    for name in ("filters.svg", "confusion.svg", "mistakes.svg"):
        assert "<svg" in (out / name).read_text()
    network = load_classifier(out / "feature-extractor-mnist.safetensors")
    assert network.features(np.zeros((3, 28, 28, 1), "float32")).shape == (3, 64)

    again = run_here(monkeypatch, "digits_conv", out, "--evaluate", out, *options[2:])
    assert without_time(again) == without_time(figures)

    more = ["--data", "mnist", "--data-dir", small_mnist(tmp_path / "other", training=160)]
    assert "training_images: 150 there, 160 now" in refused(monkeypatch, out, *more, "--resume")


def test_folders_that_do_not_hold_the_images_end_with_a_sentence(tmp_path, monkeypatch):
    words = refused(monkeypatch, tmp_path / "out", "--data", "mnist", "--data-dir", tmp_path)
    assert re.search(r"error: load_mnist: .* has neither train-images-idx3-ubyte nor", words)
    assert "the digits are part of the package" in refused(monkeypatch, tmp_path / "out", "--data-dir", tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "fashion"], "invalid choice 'fashion' for argument '--data'"),
        (["--widths"], "--widths: the network needs at least one convolution"),
        (["--steps", "0"], "--steps: 0 must be at least 1"),
        (["--sample", "3"], "--sample"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, words, monkeypatch, capsys):
    assert words in refusal(capsys, monkeypatch, "digits_conv", *options)


# --------------------------------------------------------------------------------------- broken off, resumed, never overwritten


@pytest.mark.slow
def test_a_run_that_is_broken_off_twice_and_resumed_ends_as_an_unbroken_one(tmp_path, monkeypatch):
    expected = run(monkeypatch, tmp_path / "unbroken")
    broken = tmp_path / "broken"
    words = interrupted(monkeypatch, "digits_conv", broken, *SHORT, where=STEP, after=7)
    assert re.search(r"stopped after 7 of 40 steps; .*; the same command with --resume goes on from there", words)
    words = interrupted(monkeypatch, "digits_conv", broken, *SHORT, "--resume", where=STEP, after=22)
    assert "stopped after 29 of 40 steps" in words  # in the second epoch
    assert files_in(broken) == {"checkpoint.safetensors"}
    assert without_time(run(monkeypatch, broken, "--resume")) == without_time(expected)

    one, other = (entries(tmp_path / name / "checkpoint.safetensors") for name in ("unbroken", "broken"))
    assert one == other
    assert (broken / NETWORK).read_bytes() == (tmp_path / "unbroken" / NETWORK).read_bytes()


@pytest.mark.slow
def test_steps_may_grow(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path)
    figures = run_here(monkeypatch, "digits_conv", tmp_path, "--steps", "45", "--no-plots", "--resume")
    assert figures["steps"] == 45
    assert read_state(tmp_path / "checkpoint.safetensors")["optimizer.steps"] == 45


@pytest.mark.slow
def test_another_run_is_refused_with_the_differences(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for resume in ([], ["--resume"]):
        assert "seed: 0 there, 3 now" in refused(monkeypatch, tmp_path, "--seed", "3", *resume)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert run(monkeypatch, tmp_path, "--seed", "3", "--overwrite")["seed"] == 3


@pytest.mark.slow
def test_there_must_be_something_to_resume(tmp_path, monkeypatch):
    assert "error: there is nothing to resume: " in refused(monkeypatch, tmp_path / "typo", "--resume")
    assert not (tmp_path / "typo").exists()


# ------------------------------------------------------------------------------------------------------------- how well it reads


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_held_out_digits_are_read(seed, tmp_path):
    _, figures = run_alone("digits_conv", tmp_path, "--seed", str(seed), "--no-plots")
    assert figures["accuracy"] >= 0.97
    assert figures["cross_entropy"] < 0.1


@pytest.mark.slow
def test_mnist_is_read(tmp_path):
    folder = Path(os.environ.get("MINIGEN_DATA") or "~/.cache/minigen").expanduser() / "mnist"
    try:
        load_mnist("train", folder=folder)
        load_mnist("test", folder=folder)
    except FileNotFoundError as error:
        pytest.skip(f"needs the real files: {error}")
    _, figures = run_alone("digits_conv", tmp_path, "--data", "mnist", "--data-dir", str(folder), "--no-plots")
    assert figures["accuracy"] >= 0.985
    assert figures["test_images"] == 10_000
