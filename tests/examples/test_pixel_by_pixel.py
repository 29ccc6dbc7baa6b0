"""What the examples that draw images pixel by pixel have in common: which bits they learn, and what Ctrl-C and failing pictures leave."""

import re
import runpy
import sys

import numpy as np
import pytest

from minigen import plots
from minigen.models import BernoulliConditional

from .running import FOLDER, figures_in, run_here

SMALL = {
    "made": ["--hidden", "8"],
    "pixelcnn": ["--features", "6", "--layers", "1", "--batch-size", "8"],
    "pixelrnn": ["--features", "6", "--layers", "1", "--batch-size", "8"],
}
EXAMPLES = {name: runpy.run_path(str(FOLDER / f"{name}.py")) for name in SMALL}


def sample(monkeypatch, name, out, *options):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--sample", "9", "--out", str(out), *options])
    EXAMPLES[name]["run_program"](EXAMPLES[name]["main"])


def samples_in(out):
    with np.load(out / "samples.npz") as arrays:
        return arrays["samples"].reshape(9, 64)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("options", "protocol"),
    [
        ([], "threshold"),
        (["--data", "mnist"], "dynamic"),
        (["--data", "fashion"], "dynamic"),
        (["--data", "mnist", "--binarization", "static"], "static"),
        (["--binarization", "dynamic"], "dynamic"),
    ],
)
def test_the_bits_are_the_ones_asked_for_or_those_of_the_data(name, options, protocol, monkeypatch):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *options])
    assert EXAMPLES[name]["parse_arguments"]().binarization == protocol


@pytest.mark.parametrize("name", SMALL)
def test_what_is_drawn_is_written_and_the_rest_is_blank(name, tmp_path, monkeypatch, capsys):
    run_here(monkeypatch, name, tmp_path, *SMALL[name], "--steps", "1", "--no-plots")
    sample(monkeypatch, name, tmp_path)
    finished = samples_in(tmp_path)
    capsys.readouterr()
    quantile, calls = BernoulliConditional.quantile, []

    def quantile_with_ctrl_c(self, *arguments):
        calls.append(arguments)
        if len(calls) == 21:
            raise KeyboardInterrupt
        return quantile(self, *arguments)

    monkeypatch.setattr(BernoulliConditional, "quantile", quantile_with_ctrl_c)
    with pytest.raises(SystemExit) as ended:
        sample(monkeypatch, name, tmp_path, "--format", "svg")
    assert re.fullmatch(r"\nstopped after 20 of 64 steps of drawing; what was trained is kept", ended.value.code)
    assert capsys.readouterr().out == f"written to {tmp_path}/: samples.npz, samples.svg\n"
    drawn = samples_in(tmp_path)
    np.testing.assert_array_equal(drawn[:, :20], finished[:, :20])
    assert finished[:, 20:].any()
    assert not drawn[:, 20:].any()
    assert (tmp_path / "samples.svg").is_file()


@pytest.mark.parametrize("name", SMALL)
def test_figures_outlive_pictures_that_fail(name, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "image_grid", None)
    monkeypatch.setattr(plots, "image_rows", None)
    with pytest.raises(TypeError):
        run_here(monkeypatch, name, tmp_path, *SMALL[name], "--steps", "1")
    assert figures_in(tmp_path)["steps"] == 1
