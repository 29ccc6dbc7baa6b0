"""The 1-D GAN: every target, loss and option; the user's own numbers; runs that are broken off, resumed, refused; and what it learns."""

import math
import re
import signal
import statistics
import subprocess
import sys

import numpy as np
import pytest

from minigen import lessons
from minigen.data import TARGETS, target
from minigen.losses import ADVERSARIAL, adversarial
from minigen.metrics import wasserstein1_to_quantile
from minigen.models import GAN, mlp_gan
from minigen.random import Generator
from minigen.training import load_state, read_state

from .running import (
    FOLDER,
    ended,
    entries,
    files_in,
    interrupted,
    loaded,
    refusal,
    run_alone,
    run_here,
    without_time,
)

SHORT = ["--steps", "3", "--no-plots"]
FILES = {"metrics.json", "weights.safetensors", "checkpoint.safetensors"}
PICTURES = {"densities.png", "training.png", "training.gif"}


def run(monkeypatch, out, *options):
    return run_here(monkeypatch, "gan_1d", out, *SHORT, *options)


def refused(monkeypatch, out, *options):
    """Run it where it is to end with a sentence; return that."""
    words = ended(monkeypatch, "gan_1d", *SHORT, *options, "--out", out)
    assert isinstance(words, str)
    return words


# ------------------------------------------------------------------------------------------------- targets, losses, options


def assert_figures(figures, loss="nonsaturating"):
    keys = {
        "wasserstein1", "wasserstein1_floor", "jensen_shannon", "discriminator_gap", "mode_mass", "target", "critic_steps", "seed",
        "seconds", "versions",
    }  # fmt: skip
    assert keys <= set(figures)
    assert (figures["loss"], figures["steps"], figures["device"]) == (loss, 3, "cpu")
    assert figures["wasserstein1"] > 0
    assert figures["wasserstein1_floor"] > 0
    assert 0 < figures["jensen_shannon"] < math.log(2)
    assert sum(figures["mode_mass"]) == pytest.approx(1, rel=1e-12)
    if adversarial(loss).is_probability:
        assert 0 < figures["discriminator_gap"] < 1
    else:
        assert figures["discriminator_gap"] is None


def test_a_short_run_is_measured_and_the_result_is_the_averaged_generator(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path)
    assert_figures(figures)
    assert len(figures["mode_mass"]) == 2
    assert files_in(tmp_path) == FILES
    checkpoint, weights = (read_state(tmp_path / f"{name}.safetensors") for name in ("checkpoint", "weights"))
    for name in (name for name in weights if name.startswith("model.generator.")):
        average = checkpoint[f"average.{name.removeprefix('model.generator.')}.average"]
        np.testing.assert_array_equal(weights[name], average)
        assert not np.array_equal(average, checkpoint[name])

    gan = mlp_gan(features=1, latent=4, width=64, rng=Generator(0))
    load_state(tmp_path / "weights.safetensors", model=gan)
    density = target("mixture")
    noise = Generator(loaded("gan_1d")["Lesson"].evaluation_seed).normal((loaded("gan_1d")["MONITORED"], 4))
    drawn = gan.generator(noise).data * density.standard_deviation / 2 + density.mean
    # The last figures were recorded in the last step, after its update of the average.
    last = checkpoint["run.rows"][-1]
    assert last["step"] == 2
    assert last["W1"] == pytest.approx(wasserstein1_to_quantile(drawn, density.quantile), rel=1e-6)


@pytest.mark.parametrize("loss", ADVERSARIAL)
def test_each_loss_has_settings_of_its_own(loss):
    found = lessons.read_command_line(loaded("gan_1d")["defaults"], ["--loss", loss])
    is_critic = loss.startswith("wasserstein")
    assert (found.loss, found.critic_steps, found.steps) == (loss, *((5, 2000) if is_critic else (1, 8000)))
    assert (found.weight_bound > 0) == (loss == "wasserstein")
    assert (found.penalty > 0) == (loss == "wasserstein-gp")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "loss"), list(zip([*TARGETS, *TARGETS], ADVERSARIAL, strict=False)))
def test_every_target_and_every_loss(name, loss, tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, "--target", name, "--loss", loss, "--seed", "3", "--latent", "1")
    assert_figures(figures, loss)
    assert len(figures["mode_mass"]) == len(target(name).centres)
    assert figures["critic_steps"] == (5 if loss.startswith("wasserstein") else 1)
    assert files_in(tmp_path) == FILES
    state = read_state(tmp_path / "weights.safetensors")
    largest = max(abs(array).max() for name, array in state.items() if name.startswith("model.discriminator"))
    assert (largest <= np.float32(0.1)) == (loss == "wasserstein")  # the critic's weights stay within their bound


@pytest.mark.slow
def test_the_number_of_critic_steps_may_be_chosen(tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path, "--loss", "wasserstein", "--critic-steps", "2")
    assert figures["critic_steps"] == 2
    recorded = read_state(tmp_path / "checkpoint.safetensors")
    assert recorded["discriminator_optimizer.steps"] == 6
    assert recorded["generator_optimizer.steps"] == 3


@pytest.mark.slow
def test_pictures_in_another_format_and_of_saturation_do_not_change_the_result(tmp_path, monkeypatch):
    options = ["--steps", "3", "--loss", "wasserstein", "--seed"]
    plain, other = (run(monkeypatch, tmp_path / seed, *options, seed) for seed in "12")
    assert other["wasserstein1"] != plain["wasserstein1"]
    out = tmp_path / "shown"
    shown = run_here(monkeypatch, "gan_1d", out, *options, "1", "--format", "pdf", "--show-saturation")
    assert shown["command"] == f"{plain['command']} --show-saturation"
    assert without_time(shown) | {"command": plain["command"]} == without_time(plain)
    assert files_in(out) == FILES | {"densities.pdf", "training.pdf", "training.gif", "saturation.pdf"}
    for picture in out.glob("*.pdf"):
        assert picture.read_bytes().startswith(b"%PDF")


# ------------------------------------------------------------------------------------------------------- the user's numbers


@pytest.fixture
def heights(tmp_path):
    path = tmp_path / "people.csv"
    rng = np.random.default_rng(0)
    rows = [
        f"{name},{height:.1f}"
        for name, height in enumerate(np.concatenate([rng.normal(165, 5, 300), rng.normal(190, 4, 200)]))
    ]
    path.write_text("\n".join(["number,height", *rows]))
    return path


@pytest.mark.slow
def test_numbers_of_ones_own(heights, tmp_path, monkeypatch):
    figures = run(monkeypatch, tmp_path / "out", "--data", str(heights), "--column", "height")
    assert_figures(figures)
    assert figures["target"] == "height"
    assert figures["data"] == "people.csv"
    assert len(figures["mode_mass"]) == 2
    # A net that has hardly begun stands near the data's mean: its distance has the data's unit.
    assert 2 < figures["wasserstein1"] < 30


@pytest.mark.slow
def test_bad_numbers_end_with_a_sentence(heights, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert re.search(r"error: .*hight.*height", refused(monkeypatch, out, "--data", str(heights), "--column", "hight"))
    assert re.search(r"error: .*none\.csv", refused(monkeypatch, out, "--data", str(tmp_path / "none.csv")))
    heights.write_text("height\n1\ntall\n")
    assert re.search(r"error: .*people\.csv.*line 3.*tall", refused(monkeypatch, out, "--data", str(heights)))
    assert not out.exists()


def test_a_column_needs_a_file(monkeypatch, capsys):
    words = refusal(capsys, monkeypatch, "gan_1d", "--column", "height")
    assert "--column names a column of --data FILE.csv" in words


@pytest.mark.slow
def test_samples_are_those_that_were_measured(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path)
    run_here(monkeypatch, "gan_1d", tmp_path, "--sample", "7")
    with np.load(tmp_path / "samples.npz") as arrays:
        numbers = arrays["numbers"]
    assert numbers.shape == (7,)
    assert (tmp_path / "samples.png").stat().st_size > 1000
    again = run_here(monkeypatch, "gan_1d", tmp_path, "--evaluate", tmp_path, "--no-plots")
    assert again["steps"] == 3


@pytest.mark.slow
def test_numbers_of_ones_own_are_learned(heights, tmp_path):
    _, figures = run_alone("gan_1d", tmp_path / "out", "--data", heights, "--column", "height", "--no-plots")
    assert figures["wasserstein1"] < 0.1 * 13.5


# ---------------------------------------------------------------------------------------- broken off, resumed, never overwritten


def started(out, *options):
    """Start a run in a process of its own; return that once its progress bar counts some steps."""
    command = [sys.executable, FOLDER / "gan_1d.py", *options, "--no-plots", "--out", out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = ""
    while not re.search(r"\d{2}/\d+ \[", seen):
        seen += (character := process.stderr.read(1))
        assert character, seen
    return process


def broken_off(out, number, *options):
    """Start a run and send it a signal; return its last words."""
    process = started(out, *options)
    process.send_signal(number)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 1
    return rest


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "drawing"), [("nonsaturating", []), ("wasserstein-gp", ["--no-plots"])])
def test_a_run_that_is_broken_off_twice_and_resumed_ends_as_an_unbroken_one(loss, drawing, tmp_path, monkeypatch):
    options = ["--loss", loss, "--steps", "12", "--critic-steps", "1"]
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    expected = run(monkeypatch, unbroken, *options)
    weights = (unbroken / "weights.safetensors").read_bytes()
    again = run_here(monkeypatch, "gan_1d", unbroken, *options, *drawing, "--resume")
    assert again == expected  # a finished run is only measured again: the time is that of the training
    assert (unbroken / "weights.safetensors").read_bytes() == weights
    assert files_in(unbroken) == (FILES if drawing else FILES | PICTURES)

    for number, after, total, more in ((signal.SIGINT, 3, 3, []), (signal.SIGTERM, 4, 7, ["--resume"])):
        words = interrupted(
            monkeypatch,
            "gan_1d",
            broken,
            *SHORT,
            *options,
            *more,
            where=(GAN, "discriminator_loss"),
            after=after,
            number=number,
        )
        assert f"stopped after {total} of 12 steps; their state is in " in words
        assert files_in(broken) == {"checkpoint.safetensors"}
    figures = run_here(monkeypatch, "gan_1d", broken, *options, *drawing, "--resume")

    assert without_time(figures) == without_time(expected)
    assert entries(broken / "checkpoint.safetensors") == entries(unbroken / "checkpoint.safetensors")
    assert files_in(broken) == files_in(unbroken)
    for name in files_in(unbroken) - {"metrics.json", "checkpoint.safetensors"}:  # the animation too
        assert (broken / name).read_bytes() == (unbroken / name).read_bytes()


@pytest.mark.slow
def test_steps_may_grow(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path)
    figures = run(monkeypatch, tmp_path, "--resume", "--steps", "8")
    assert figures["steps"] == 8
    rows = read_state(tmp_path / "checkpoint.safetensors")["run.rows"]
    assert [row["step"] for row in rows] == list(range(8))


@pytest.mark.slow
def test_another_configuration_is_refused_with_the_differences(tmp_path, monkeypatch):
    run(monkeypatch, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    others = ["--loss", "minimax", "--latent", "2"]
    differences = "loss: 'nonsaturating' there, 'minimax' now; latent: 4 there, 2 now"
    assert f"is of another run: {differences}" in refused(monkeypatch, tmp_path, *others, "--resume")
    message = refused(monkeypatch, tmp_path, *others)
    assert f"is of another run, which this one would overwrite: {differences}. Choose another folder (--out)" in message
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert run(monkeypatch, tmp_path, *others, "--overwrite")["loss"] == "minimax"


@pytest.mark.slow
def test_other_numbers_under_the_same_name_are_refused(heights, tmp_path, monkeypatch):
    options = ["--data", str(heights), "--column", "height"]
    run(monkeypatch, tmp_path / "out", *options)
    heights.write_text(heights.read_text() + "\n501,170.5")
    assert re.search(
        r"is of another run: sha256: '\w+' there", refused(monkeypatch, tmp_path / "out", *options, "--resume")
    )


@pytest.mark.slow
def test_there_must_be_something_to_resume(tmp_path, monkeypatch):
    assert "error: there is nothing to resume: " in refused(monkeypatch, tmp_path / "typo", "--resume")
    assert not (tmp_path / "typo").exists()


@pytest.mark.slow
def test_a_process_that_is_broken_off_then_killed_and_resumed_ends_as_an_unbroken_run(tmp_path, monkeypatch):
    options, broken = ["--steps", "1500"], tmp_path / "broken"
    words = broken_off(broken, signal.SIGTERM, *options)
    assert re.search(r"stopped after \d+ of 1500 steps; their state is in .*; the same command with --resume", words)
    kept = (broken / "checkpoint.safetensors").read_bytes()
    process = started(broken, *options, "--resume")
    process.kill()  # the hard way: what the session before left is still whole
    process.communicate()
    assert (broken / "checkpoint.safetensors").read_bytes() == kept
    resumed = run(monkeypatch, broken, *options, "--resume")
    unbroken = run(monkeypatch, tmp_path / "unbroken", *options)
    assert without_time(resumed) == without_time(unbroken)
    assert entries(broken / "checkpoint.safetensors") == entries(tmp_path / "unbroken" / "checkpoint.safetensors")


# ---------------------------------------------------------------------------------------------------------- what it learns


@pytest.mark.slow
def test_the_default_gan_learns_the_mixture(tmp_path):
    distances = [
        run_alone("gan_1d", tmp_path / str(seed), "--seed", str(seed), "--no-plots")[1]["wasserstein1"]
        for seed in range(5)
    ]
    assert statistics.median(distances) <= 0.10
    assert max(distances) <= 0.20


@pytest.mark.slow
def test_the_gan_learns_faithful(tmp_path):
    _, figures = run_alone("gan_1d", tmp_path, "--target", "faithful")
    assert figures["wasserstein1"] <= 0.10 * target("faithful").standard_deviation


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["wasserstein", "wasserstein-gp", "reverse-kl"])
def test_the_other_losses_learn_the_mixture(loss, tmp_path):
    for seed in range(2):
        _, figures = run_alone("gan_1d", tmp_path / str(seed), "--loss", loss, "--seed", str(seed), "--no-plots")
        assert figures["wasserstein1"] <= 0.25


@pytest.mark.slow
def test_the_gan_learns_with_several_steps_of_the_discriminator(tmp_path):
    _, figures = run_alone("gan_1d", tmp_path, "--critic-steps", "3", "--no-plots")
    assert figures["wasserstein1"] <= 0.20
