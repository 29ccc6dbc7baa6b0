"""The examples as a user meets them: they run, write what they say, repeat themselves, and refuse wrong values with words."""

import argparse
import ast
import math
import re
import runpy
import sys

import numpy as np
import pytest

from minigen import metrics
from minigen.data import Gaussian
from minigen.training import add_run_options

from .running import FOLDER, run_alone, run_here, without_time

SHORT = {
    "cvae": ["--steps", "3"],
    "denoising_autoencoder": ["--steps", "2"],
    "digits_conv": ["--steps", "3"],
    "gan_1d": ["--steps", "3"],
    "gan_dynamics": ["--steps", "3", "--data", "ring"],
    "gaussian_mle": ["--steps", "3"],
    "language_model": ["--steps", "2", "--length", "10"],
    "made": ["--steps", "3"],
    "optimal_transport": ["--triples", "50"],
    "pca_vs_autoencoder": ["--steps", "3"],
    "pixelcnn": ["--steps", "2", "--features", "6", "--layers", "2"],
    "pixelrnn": ["--steps", "2", "--features", "6", "--layers", "1"],
    "reparameterization": ["--repetitions", "20"],
    "segmentation": ["--steps", "2"],
    "transfer": ["--steps", "3"],
    "vae": ["--steps", "3", "--evaluation-k", "5"],
    "vae_amortization": ["--steps", "3", "--fit-steps", "3", "--evaluation-k", "5"],
}  # fmt: skip


def options_of(name):
    """The options of the program itself, and those that every run has."""
    text = (FOLDER / f"{name}.py").read_text()
    options = re.findall(r'add_argument\(\s*"(--[a-z-]+)"', text)
    if "add_run_options(" in text:
        parser = argparse.ArgumentParser(add_help=False)
        add_run_options(parser, out="")
        options += re.findall(r"--[a-z-]+", parser.format_help())
    return options


def test_every_example_is_covered():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(SHORT)


# ------------------------------------------------------------------------------------------------------- what they leave


def files_in(out):
    return {path.name for path in out.iterdir()}


def assert_same_files(one, other, names):
    for name in names:
        if not re.fullmatch(
            r"metrics\.json|checkpoint\.safetensors|(ring|grid|without)-.*\.safetensors", name
        ):  # which tell the time
            assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("name", SHORT)
def test_an_example_writes_what_it_says_and_repeats_itself(name, tmp_path, monkeypatch, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    undrawn = ["--no-plots"] if "--no-plots" in options_of(name) else []  # the pictures take longest
    printed, figures = run_alone(name, first, *SHORT[name], *undrawn)
    again = run_here(monkeypatch, name, second, *SHORT[name])
    for out, text in ((first, printed), (second, capsys.readouterr().out)):
        assert f"written to {out}/: {', '.join(sorted(files_in(out)))}" in text
    assert "metrics.json" in files_in(first) <= files_in(second)
    pictures = [path for path in second.iterdir() if path.suffix == ".png"]
    assert pictures
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert figures["seed"] == 0
    assert {"python", "numpy", "minigen"} <= set(figures["versions"])
    assert without_time(again) == without_time(figures)
    assert_same_files(first, second, files_in(first))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_an_example_draws_the_same_pictures_in_another_process(name, tmp_path):
    for out in ("first", "second"):
        run_alone(name, tmp_path / out, *SHORT[name])
    assert files_in(tmp_path / "first") == files_in(tmp_path / "second")
    assert_same_files(tmp_path / "first", tmp_path / "second", files_in(tmp_path / "first"))


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


@pytest.mark.slow
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
    "digits_conv": [
        ("--steps", "0"), ("--seed", "-1"), ("--data", "cifar"), ("--device", "tpu"), ("--format", "jpg"),
    ],
    "gan_1d": [
        ("--steps", "0"), ("--steps", "many"), ("--critic-steps", "0"), ("--latent", "-1"), ("--seed", "-1"), ("--loss", "hinge"),
        ("--target", "moons"), ("--device", "tpu"), ("--format", "jpg"),
    ],
    "gan_dynamics": [
        ("--steps", "0"), ("--seeds", "0"), ("--seed", "-1"), ("--data", "moons"), ("--methods", "vae"), ("--device", "tpu"),
        ("--format", "jpg"),
    ],
    "gaussian_mle": [("--steps", "0"), ("--steps", "1.5"), ("--batch-size", "0"), ("--seed", "-1"), ("--device", "tpu")],
    "language_model": [
        ("--steps", "0"), ("--model", "markov"), ("--length", "0"), ("--temperature", "0"), ("--temperature", "-1"), ("--top-k", "0"),
        ("--sample", "0"),
    ],
    "made": [
        ("--steps", "0"), ("--model", "nice"), ("--hidden", "0"), ("--orderings", "0"), ("--ordering", "spiral"), ("--batch-size", "0"),
        ("--binarization", "grey"), ("--learning-rate", "0"), ("--seed", "-1"), ("--data", "cifar"), ("--format", "jpg"),
        ("--sample", "0"),
    ],
    "optimal_transport": [
        ("--shift", "0"), ("--shift", "101"), ("--triples", "0"), ("--outcomes", "1"), ("--seed", "-1"), ("--format", "jpg"),
    ],
    "pixelcnn": [
        ("--steps", "0"), ("--model", "residual"), ("--pixels", "grey"), ("--features", "0"), ("--layers", "0"), ("--kernel-size", "2"),
        ("--batch-size", "0"), ("--binarization", "grey"), ("--learning-rate", "0"), ("--seed", "-1"), ("--data", "cifar"),
        ("--format", "jpg"), ("--sample", "0"),
    ],
    "pixelrnn": [
        ("--steps", "0"), ("--model", "column"), ("--features", "0"), ("--layers", "0"), ("--kernel-size", "2"), ("--batch-size", "0"),
        ("--binarization", "grey"), ("--learning-rate", "0"), ("--seed", "-1"), ("--data", "cifar"), ("--format", "jpg"), ("--sample", "0"),
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
