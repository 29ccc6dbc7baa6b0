"""Options of a run: what is accepted, what a finished run says of itself, and mistakes as sentences."""

import argparse
import re
import signal
from pathlib import Path

import numpy as np
import pytest

from minigen.nn import Module, Parameter
from minigen.training import (
    CHECKPOINT,
    DrawingStopped,
    Run,
    add_run_options,
    plain_errors,
    recall,
    run_program,
    save_state,
)

SETTINGS = ("latent", "hidden", "seed")


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_run_options(parser, out="runs/some")
    parser.add_argument("--latent", type=int, default=2)
    parser.add_argument("--hidden", type=int, nargs="*", default=[8])
    parser.add_argument("--steps", type=int, default=5)
    return parser.parse_args(words)


class Weight(Module):
    def __init__(self):
        self.w = Parameter(np.ones(1, np.float32))


def finished_run(folder, *words):
    """A run as an example makes it, whose configuration is named as its arguments."""
    arguments = parsed(*words, "--out", str(folder))
    run = Run(
        steps=arguments.steps,
        checkpoint=folder / CHECKPOINT,
        parts={"model": Weight()},
        configuration={name: getattr(arguments, name) for name in SETTINGS},
        progress=False,
    )
    for _ in run:
        pass


def test_the_options_that_every_run_has():
    assert vars(parsed()) == {
        "seed": 0, "device": "cpu", "out": Path("runs/some"), "format": "png", "no_plots": False, "resume": False,
        "overwrite": False, "evaluate": None, "sample": None, "latent": 2, "hidden": [8], "steps": 5,
    }  # fmt: skip
    given = parsed("--seed", "3", "--format", "svg", "--no-plots", "--sample", "7")
    assert (given.seed, given.format, given.no_plots, given.sample) == (3, "svg", True, 7)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed", "-1"], "-1 is less than 0"),
        (["--seed", "1.5"], "'1.5' is no whole number"),
        (["--device", "tpu"], "tpu"),
        (["--format", "jpeg"], "invalid choice: 'jpeg'"),
        (["--sample", "0"], "0 is less than 1"),
        (["--resume", "--overwrite"], "not allowed with"),
        (["--evaluate", "runs/some", "--sample", "3"], "not allowed with"),
        (["--evaluate", "runs/some", "--resume"], "not allowed with"),
    ],
)
def test_what_makes_no_sense_ends_the_program(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        parsed(*words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_run_that_is_to_be_trained_recalls_nothing(tmp_path):
    finished_run(tmp_path, "--latent", "7")
    for words in ([], ["--resume"], ["--overwrite"]):
        arguments = parsed(*words, "--out", str(tmp_path))
        before = dict(vars(arguments))
        assert not recall(arguments, SETTINGS)
        assert vars(arguments) == before


@pytest.mark.parametrize("how", ["evaluate", "sample"])
def test_a_finished_run_brings_its_settings(tmp_path, how):
    finished_run(tmp_path, "--latent", "7", "--hidden", "3", "4", "--seed", "11", "--steps", "2")
    words = ["--evaluate", str(tmp_path)] if how == "evaluate" else ["--sample", "9", "--out", str(tmp_path)]
    arguments = parsed(*words, "--latent", "1", "--no-plots")
    assert recall(arguments, SETTINGS)
    assert (arguments.latent, arguments.hidden, arguments.seed, arguments.steps) == (7, [3, 4], 11, 2)
    assert arguments.out == tmp_path
    assert arguments.no_plots  # no setting of the run


def test_there_must_be_a_run_of_the_same_program(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"name the folder of a run with --evaluate RUN"):
        recall(parsed("--evaluate", str(tmp_path)), SETTINGS)
    with pytest.raises(FileNotFoundError, match=r"name the folder of a run with --out RUN"):
        recall(parsed("--sample", "3", "--out", str(tmp_path)), SETTINGS)
    finished_run(tmp_path)
    arguments = parsed("--evaluate", str(tmp_path), "--latent", "9")
    with pytest.raises(ValueError, match=re.escape(f"{CHECKPOINT} is of another program: it tells nothing of k, beta")):
        recall(arguments, (*SETTINGS, "k", "beta"))
    assert arguments.latent == 9
    save_state(tmp_path / CHECKPOINT, model=Weight())
    with pytest.raises(ValueError, match="it tells nothing of latent, hidden, seed"):
        recall(parsed("--evaluate", str(tmp_path)), SETTINGS)


def test_a_setting_of_none_is_recalled_too(tmp_path):
    run = Run(
        steps=1, checkpoint=tmp_path / CHECKPOINT, parts={"model": Weight()}, configuration={"k": None}, progress=False
    )
    list(run)
    arguments = parsed("--evaluate", str(tmp_path))
    assert recall(arguments, ["k"])
    assert arguments.k is None


def test_an_unfinished_run_may_be_sampled_but_not_evaluated_as_if_it_were_finished(tmp_path):
    run = Run(
        steps=5, checkpoint=tmp_path / CHECKPOINT, parts={"model": Weight()}, configuration={"k": 1}, progress=False
    )
    steps = (signal.raise_signal(signal.SIGINT) if step == 1 else None for step in run)
    with pytest.raises(KeyboardInterrupt):
        list(steps)
    with pytest.raises(
        ValueError, match="is of a run that stopped after 2 of 5 steps: its own command with --resume finishes it"
    ):
        recall(parsed("--evaluate", str(tmp_path)), ["k"])
    assert recall(parsed("--sample", "3", "--out", str(tmp_path)), ["k"])


def test_mistakes_of_the_user_are_sentences_and_others_are_not_hidden():
    for mistake in (ValueError("no column"), FileNotFoundError("no file")):
        with pytest.raises(SystemExit, match=f"^error: {mistake}$"), plain_errors():
            raise mistake
    with pytest.raises(FloatingPointError), plain_errors():
        raise FloatingPointError("diverged")


@pytest.mark.parametrize(
    ("interruption", "words"),
    [
        (KeyboardInterrupt("stopped after 3 of 9"), "stopped after 3 of 9; the same command with --resume goes on from there"),
        (DrawingStopped("stopped after 3 of 9 steps of drawing"), "stopped after 3 of 9 steps of drawing; what was trained is kept"),
        (KeyboardInterrupt(), "stopped"),  # amid what leaves no state behind, such as reading the data
    ],
)  # fmt: skip
def test_ctrl_c_ends_a_program_with_a_sentence(interruption, words):
    def main():
        raise interruption

    with pytest.raises(SystemExit) as ended:
        run_program(main)
    assert ended.value.code == f"\n{words}"
