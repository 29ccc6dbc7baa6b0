"""Running an example, alone or in this process, and reading what it leaves."""

import functools
import importlib.util
import json
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from minigen.training import read_state

FOLDER = Path(__file__).parents[2] / "examples"

SMALLEST = {
    "conditional_gan": ["--steps", "3", "--width", "4"],
    "cvae": ["--steps", "3"],
    "dcgan": ["--steps", "3", "--width", "4"],
    "denoising_autoencoder": ["--steps", "2"],
    "digits_conv": ["--steps", "3"],
    "gan_1d": ["--steps", "3"],
    "gan_losses": ["--steps", "6", "--width", "4", "--losses", "hinge", "--seeds", "1"],
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
    "transfer": ["--steps", "3", "--anomaly-steps", "3", "--draws", "2", "--held-out", "4"],
    "vae": ["--steps", "3", "--evaluation-k", "5"],
    "vae_amortization": ["--steps", "3", "--fit-steps", "3", "--evaluation-k", "5"],
}  # fmt: skip
"""The settings in which each example is quickest."""


@functools.cache
def loaded(name):
    """Return the names that an example defines, without running it."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # where tyro looks for the comments
    spec.loader.exec_module(module)
    return vars(module)


def run_alone(name, out, *options):
    """Run an example in a process of its own, where a warning is an error; return what it printed and its figures."""
    command = [sys.executable, "-W", "error", FOLDER / f"{name}.py", *options, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, figures_in(out)


def run_here(monkeypatch, name, out, *options):
    """Run an example in this process, which saves the imports; return its figures."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, options), "--out", str(out)])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return figures_in(out)


def ended(monkeypatch, name, *options):
    """Run an example where it is to end before its time; return its exit code, or its last words in place of a code."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, options)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    return end.value.code


def interrupted(monkeypatch, name, out, *options, where, after, number=signal.SIGINT):
    """Run an example and send this process a signal in the midst of a step; return its last words.

    `where` is a class and the name of its method that each step calls once; the signal comes with the call of number `after`.
    """
    owner, method = where
    original, calls = getattr(owner, method), []

    def with_signal(self, *arguments, **keywords):
        calls.append(arguments)
        if len(calls) == after:
            signal.raise_signal(number)
        return original(self, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, with_signal)
        return ended(patch, name, *options, "--out", out)


def refusal(capsys, monkeypatch, name, *options):
    """Run an example with a command line that it refuses; return the words of the refusal in one line, without the frame around them."""
    assert ended(monkeypatch, name, *options) == 2
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().err).split())


def figures_in(out):
    return json.loads((out / "metrics.json").read_text())


def files_in(out):
    return {path.name for path in out.iterdir()}


def without_time(figures):
    return {name: value for name, value in figures.items() if name != "seconds"}


def entries(path):
    """The entries of a checkpoint but for its time, with arrays as bytes, so that == is bitwise."""
    return {
        name: value.tobytes() if hasattr(value, "shape") else value
        for name, value in read_state(path).items()
        if name != "run.seconds"
    }
