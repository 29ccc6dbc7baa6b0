"""The examples as a user meets them: they run, write what they say, repeat themselves, and refuse wrong values with words."""

import ast
import json
import math
import re
import runpy
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from minigen import metrics
from minigen.data import TARGETS, Gaussian, target
from minigen.metrics import wasserstein1_to_quantile
from minigen.models import mlp_gan
from minigen.random import Generator
from minigen.training import load_state

FOLDER = Path(__file__).parents[2] / "examples"
SHORT = {
    "gan_1d": ["--steps", "3"],
    "gaussian_mle": ["--steps", "3"],
    "optimal_transport": ["--triples", "50"],
    "reparameterization": ["--repetitions", "20"],
}  # fmt: skip


def run_alone(name, out, *options):
    """Run an example in a process of its own, where a warning is an error; return what it printed and its figures."""
    command = [sys.executable, "-W", "error", FOLDER / f"{name}.py", *options, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, figures_in(out)


def run_here(monkeypatch, name, out, *options):
    """Run an example in this process, which saves the imports; return its figures."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *options, "--out", str(out)])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return figures_in(out)


def figures_in(out):
    return json.loads((out / "metrics.json").read_text())


def without_time(figures):
    return {name: value for name, value in figures.items() if name != "seconds"}


def options_of(name):
    return re.findall(r'add_argument\(\s*"(--[a-z-]+)"', (FOLDER / f"{name}.py").read_text())


def test_every_example_is_covered():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(SHORT)


# ------------------------------------------------------------------------------------------------------- what they leave


@pytest.mark.parametrize("name", SHORT)
def test_an_example_writes_what_it_says_and_repeats_itself(name, tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    printed, figures = run_alone(name, first, *SHORT[name])
    written = {path.name for path in first.iterdir()}
    assert f"written to {first}/: {', '.join(sorted(written))}" in printed
    assert "metrics.json" in written
    pictures = [path for path in first.iterdir() if path.suffix == ".png"]
    assert pictures
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert figures["seed"] == 0
    assert {"python", "numpy", "minigen"} <= set(figures["versions"])

    assert without_time(run_here(monkeypatch, name, second, *SHORT[name])) == without_time(figures)
    assert {path.name for path in second.iterdir()} == written
    for path in second.glob("*.safetensors"):
        assert path.read_bytes() == (first / path.name).read_bytes()


def assert_gan_figures(figures, name, loss):
    keys = {
        "wasserstein1", "wasserstein1_floor", "jensen_shannon", "discriminator_gap", "mode_mass", "loss", "seed", "steps", "seconds",
        "device", "versions",
    }  # fmt: skip
    assert keys <= set(figures)
    assert (figures["loss"], figures["steps"], figures["device"]) == (loss, 3, "cpu")
    assert figures["wasserstein1"] > 0
    assert figures["wasserstein1_floor"] > 0
    assert 0 < figures["jensen_shannon"] < math.log(2)
    assert len(figures["mode_mass"]) == len(target(name).centres)
    assert sum(figures["mode_mass"]) == pytest.approx(1, rel=1e-12)
    if loss == "least-squares":
        assert figures["discriminator_gap"] is None
    else:
        assert 0 < figures["discriminator_gap"] < 1


# Three steps of G take the other losses and options along; each target comes once.
VARIANTS = [
    ("faithful", ["--loss", "least-squares", "--latent", "1"]),
    ("three-modes", ["--loss", "minimax", "--critic-steps", "2", "--seed", "3"]),
    *(pytest.param(name, [], marks=pytest.mark.slow) for name in TARGETS if name not in ("faithful", "three-modes")),
]


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_gan_on_every_target(name, options, tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "gan_1d", tmp_path, "--target", name, *SHORT["gan_1d"], *options)
    assert_gan_figures(
        figures, name, dict(zip(options[::2], options[1::2], strict=True)).get("--loss", "nonsaturating")
    )
    assert {path.name for path in tmp_path.iterdir()} == {
        "densities.png", "training.png", "metrics.json", "weights.safetensors", "checkpoint.safetensors",
    }  # fmt: skip


def test_the_result_of_the_gan_is_its_averaged_generator(tmp_path, monkeypatch):
    run_here(monkeypatch, "gan_1d", tmp_path, "--steps", "40")
    with (
        safe_open(tmp_path / "checkpoint.safetensors", framework="numpy") as checkpoint,
        safe_open(tmp_path / "weights.safetensors", framework="numpy") as weights,
    ):
        names = [name for name in weights.keys() if name.startswith("model.generator.")]  # noqa: SIM118
        for name in names:
            average = checkpoint.get_tensor(f"average.{name.removeprefix('model.generator.')}.average")
            np.testing.assert_array_equal(weights.get_tensor(name), average)
            assert not np.array_equal(average, checkpoint.get_tensor(name))
        (recorded,) = checkpoint.metadata().values()

    gan = mlp_gan(features=1, latent=4, width=64, rng=Generator(0))
    load_state(tmp_path / "weights.safetensors", model=gan)
    example = runpy.run_path(str(FOLDER / "gan_1d.py"))
    drawn = example["samples"](gan, example["MONITOR_SAMPLES"])
    distance = wasserstein1_to_quantile(drawn, target("mixture").quantile)
    last = json.loads(recorded)["run.rows"][-1]
    # The last figures were recorded in the last step, after its update of the average.
    assert last["step"] == 39
    assert last["W1"] == pytest.approx(distance, rel=1e-9)


def test_gan_shows_saturation_and_is_not_changed_by_it(tmp_path, monkeypatch):
    plain = run_here(monkeypatch, "gan_1d", tmp_path / "plain", *SHORT["gan_1d"], "--seed", "1")
    shown = run_here(monkeypatch, "gan_1d", tmp_path / "shown", *SHORT["gan_1d"], "--seed", "1", "--show-saturation")
    assert without_time(shown) == without_time(plain)
    assert_gan_figures(plain, "mixture", "nonsaturating")
    assert (tmp_path / "shown" / "saturation.png").is_file()
    assert not (tmp_path / "plain" / "saturation.png").exists()
    other = run_here(monkeypatch, "gan_1d", tmp_path / "other", *SHORT["gan_1d"], "--seed", "2")
    assert other["wasserstein1"] != plain["wasserstein1"]


def test_gaussian_mle_with_minibatches(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "gaussian_mle", tmp_path, "--batch-size", "32")
    assert figures["batch_size"] == 32
    gap = figures["negative_log_likelihood"] - figures["negative_log_likelihood_minimum"]
    assert -1e-5 < gap < 0.1


def test_gaussian_mle_reaches_the_closed_form(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "gaussian_mle", tmp_path)
    assert figures["negative_log_likelihood"] == pytest.approx(figures["negative_log_likelihood_minimum"], rel=1e-5)
    assert figures["largest_difference"] < 1e-3


def test_reparameterization_agrees_with_the_closed_forms(tmp_path, monkeypatch):
    settings = ["--mean", "0.5", "--scale", "1.5", "--repetitions", "100", "--seed", "4"]
    figures = run_here(monkeypatch, "reparameterization", tmp_path, *settings)
    assert figures["exact_gradient"] == 1.0
    for estimator in ("score_function", "reparameterized"):
        found = figures[estimator]
        assert abs(found["mean"] - 1.0) < 5 * found["standard_error"]
        # 25,600 estimates with kurtosis below 100: a relative standard error of the deviation below 1/2 sqrt(100 / 25600).
        assert found["standard_deviation"] == pytest.approx(found["standard_deviation_exact"], rel=5 * 0.032)


def test_optimal_transport_finds_what_is_a_distance_and_what_is_none(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "optimal_transport", tmp_path, "--triples", "500", "--no-plots", "--seed", "3")
    assert {name: found["violates"] for name, found in figures["axioms"].items()} == {
        "KL": ["symmetry", "triangle"], "JS": ["triangle"], "sqrt(JS)": [], "TV": [], "W1": [],
    }  # fmt: skip
    assert figures["boxes"]["sorted"]["distance"] == figures["boxes"]["reversed"]["distance"] == 28
    assert figures["boxes_least_cost"] == pytest.approx(28, rel=1e-12)
    assert figures["boxes_dual"] == pytest.approx(28, rel=1e-9)
    assert figures["boxes"]["sorted"]["squared"] < figures["boxes"]["reversed"]["squared"]
    for metric, other in (("euclidean", "manhattan"), ("manhattan", "euclidean")):
        assert figures["plane"][metric][metric] < figures["plane"][other][metric]
    assert figures["segments_by_linear_program"] == pytest.approx(2.0, rel=1e-9)
    assert figures["at_shift"]["intervals on the line"]["JS"] == [pytest.approx(math.log(2)), 0.0]
    assert figures["at_shift"]["intervals on the line"]["KL(p || q)"] == ["infinite", None]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_optimal_transport_draws_in_other_formats(tmp_path, monkeypatch):
    run_here(monkeypatch, "optimal_transport", tmp_path, "--triples", "1", "--format", "svg")
    pictures = {path.name for path in tmp_path.iterdir()} - {"metrics.json"}
    assert pictures == {"divergences.svg", "ground_distances.svg", "plans.svg"}
    assert all("<svg" in (tmp_path / name).read_text() for name in pictures)


def test_the_curves_of_optimal_transport_are_those_of_the_metrics():
    example = runpy.run_path(str(FOLDER / "optimal_transport.py"))
    theta, step, s = np.array([-2.2, -0.7, 0.3, 0.9, 1.6]), 1e-5, example["SCALE"]
    for pair in example["PAIRS"].values():
        (_, gradients), (above, _), (below, _) = pair(theta), pair(theta + step), pair(theta - step)
        for name, gradient in gradients.items():
            known = ~np.isnan(gradient)
            slope = (above[name][known] - below[name][known]) / (2 * step)
            np.testing.assert_allclose(gradient[known], slope, atol=1e-6)
            assert known.all() or np.isinf(above[name]).all()

    # Intervals as 10 equal cells: p on the cells from 0 on, q on those from theta on, where theta is whole cells.
    for cells in (3, 9, 10, 22):
        p, q, places = np.zeros(32), np.zeros(32), np.arange(32) / 10
        p[:10], q[cells : cells + 10] = 0.1, 0.1
        values, _ = example["intervals"](np.array([cells / 10]))
        assert values["TV"][0] == pytest.approx(metrics.total_variation(p, q))
        assert values["JS"][0] == pytest.approx(metrics.jensen_shannon(p, q))
        assert values["KL(p || q)"][0] == values["KL(q || p)"][0] == metrics.kullback_leibler(p, q) == math.inf
        assert values["W1"][0] == pytest.approx(metrics.wasserstein1(places, places, a=p, b=q))

    x, dx = np.linspace(-12.0, 12.0, 24_001, retstep=True)
    values, _ = example["gaussians"](theta)
    quantiles = Gaussian(mean=0.0, scale=1.0).quantile((np.arange(100_000) + 0.5) / 100_000)
    for t, mean in enumerate(theta):
        p, q = Gaussian(mean=0.0, scale=1.0).pdf(x), Gaussian(mean=mean, scale=s).pdf(x)
        assert values["KL(q || p)"][t] == pytest.approx(metrics.kullback_leibler(q, p, dx), abs=1e-9)
        assert values["TV"][t] == pytest.approx(metrics.total_variation(p, q, dx), abs=1e-6)
        assert values["W1"][t] == pytest.approx(np.abs(mean + (s - 1) * quantiles).mean(), abs=1e-5)
        inside = np.abs(x) < 8  # farther out q underflows
        assert values["KL(p || q)"][t] == pytest.approx(metrics.kullback_leibler(p[inside], q[inside], dx), abs=1e-8)


# ---------------------------------------------------------------------------------------------------------- command lines


def ends_with(code, name, arguments, monkeypatch, capsys):
    """Run an example that is to end before it begins; return what it wrote."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert ended.value.code == code
    written = capsys.readouterr()
    return written.out if code == 0 else written.err


@pytest.mark.parametrize("name", SHORT)
def test_help_mentions_each_option_and_the_docstring_no_other(name, monkeypatch, capsys):
    text = ends_with(0, name, ["--help"], monkeypatch, capsys)
    options = options_of(name)
    assert "--out" in options
    for option in options:
        assert re.search(rf"{option}\b", text)
    docstring = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text()))
    assert f"python examples/{name}.py" in docstring
    assert set(re.findall(r"--[a-z-]+", docstring)) <= set(options)
    assert docstring.splitlines()[0] in text


WRONG = {
    "gan_1d": [
        ("--steps", "0"), ("--steps", "many"), ("--critic-steps", "0"), ("--latent", "-1"), ("--seed", "-1"), ("--loss", "hinge"),
        ("--target", "moons"), ("--device", "tpu"),
    ],
    "gaussian_mle": [("--steps", "0"), ("--steps", "1.5"), ("--batch-size", "0"), ("--seed", "-1"), ("--device", "tpu")],
    "optimal_transport": [
        ("--shift", "0"), ("--shift", "101"), ("--triples", "0"), ("--outcomes", "1"), ("--seed", "-1"), ("--format", "jpg"),
    ],
    "reparameterization": [
        ("--scale", "0"), ("--scale", "-1"), ("--scale", "wide"), ("--repetitions", "0"), ("--seed", "-1"), ("--device", "tpu"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "option", "value"), [(name, *pair) for name, pairs in WRONG.items() for pair in pairs]
)
def test_wrong_values_end_with_code_2_and_words(name, option, value, tmp_path, monkeypatch, capsys):
    arguments = [*SHORT[name], option, value, "--out", str(tmp_path / "out")]
    text = ends_with(2, name, arguments, monkeypatch, capsys)
    assert re.search(rf"error: argument {option}: .*{re.escape(value)}", text)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", SHORT)
def test_an_unknown_option_ends_with_code_2(name, monkeypatch, capsys):
    assert "--epochs" in ends_with(2, name, ["--epochs", "3"], monkeypatch, capsys)


# ---------------------------------------------------------------------------------------------------------- the full runs


@pytest.mark.slow
def test_the_default_gan_learns_the_mixture(tmp_path):
    distances = [run_alone("gan_1d", tmp_path / str(seed), "--seed", str(seed))[1]["wasserstein1"] for seed in range(5)]
    assert statistics.median(distances) <= 0.10
    assert max(distances) <= 0.20


@pytest.mark.slow
def test_the_gan_learns_faithful(tmp_path):
    _, figures = run_alone("gan_1d", tmp_path, "--target", "faithful")
    assert figures["wasserstein1"] <= 0.10 * target("faithful").standard_deviation


@pytest.mark.slow
def test_the_gan_learns_with_several_steps_of_the_discriminator(tmp_path):
    _, figures = run_alone("gan_1d", tmp_path, "--critic-steps", "3")
    assert figures["wasserstein1"] <= 0.20
