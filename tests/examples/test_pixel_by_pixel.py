"""What the lessons that draw images pixel by pixel have in common: which bits they learn, and what Ctrl-C and failing pictures leave."""

import numpy as np
import pytest

from minigen import lessons, plots
from minigen.models import BernoulliConditional

from .running import ended, figures_in, loaded, run_here

SMALL = {
    "made": ["--hidden", "8"],
    "pixelcnn": ["--features", "6", "--layers", "1", "--batch-size", "8"],
    "pixelrnn": ["--features", "6", "--layers", "1", "--batch-size", "8"],
}


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
def test_the_bits_are_the_ones_asked_for_or_those_of_the_data(name, options, protocol):
    assert lessons.read_command_line(loaded(name)["defaults"], options).binarization == protocol


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_what_is_drawn_is_written_and_the_rest_is_blank(name, tmp_path, monkeypatch, capsys):
    run_here(monkeypatch, name, tmp_path, *SMALL[name], "--steps", "1", "--no-plots")
    run_here(monkeypatch, name, tmp_path, "--sample", "9")
    finished = samples_in(tmp_path)
    capsys.readouterr()
    quantile, calls = BernoulliConditional.quantile, []

    def quantile_with_ctrl_c(self, *arguments):
        calls.append(arguments)
        if len(calls) == 21:
            raise KeyboardInterrupt
        return quantile(self, *arguments)

    monkeypatch.setattr(BernoulliConditional, "quantile", quantile_with_ctrl_c)
    words = ended(monkeypatch, name, "--sample", "9", "--format", "svg", "--out", tmp_path)
    assert words == "\nstopped after 20 of 64 steps of drawing; what was trained is kept"
    assert capsys.readouterr().out == f"written to {tmp_path}/: samples.npz, samples.svg\n"
    drawn = samples_in(tmp_path)
    np.testing.assert_array_equal(drawn[:, :20], finished[:, :20])
    assert finished[:, 20:].any()
    assert not drawn[:, 20:].any()
    assert (tmp_path / "samples.svg").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_figures_outlive_pictures_that_fail(name, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "image_grid", None)
    monkeypatch.setattr(plots, "image_rows", None)
    with pytest.raises(
        SystemExit, match=r"the figures are in .*metrics\.json, but this failed:\n.*pictures: TypeError"
    ):
        run_here(monkeypatch, name, tmp_path, *SMALL[name], "--steps", "1")
    assert figures_in(tmp_path)["steps"] == 1
