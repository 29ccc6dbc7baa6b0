"""The command line that settings describe: defaults that depend on options, what is refused and how, the help."""

import io
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from minigen.lessons import Count, Positive, SamplingOptions, TrainingSettings, optional, read_command_line
from minigen.lessons.command_line import command_of

Data = Literal["digits", "mnist"]


@dataclass(frozen=True, kw_only=True)
class Options(SamplingOptions):
    draws: Count = 10  # of z, in the measurements


@dataclass(frozen=True, kw_only=True)
class Small(TrainingSettings):
    data: Data = "digits"  # what to learn
    hidden: tuple[Count, ...] = (8, 4)  # units of the layers
    conv: bool = False  # convolutions
    classes: bool = True  # learn p(x|y)
    learning_rate: Positive = 0.5  # of Adam
    run: Options = Options()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.conv and self.hidden:
            raise ValueError("--hidden is about fully connected layers, but --conv is given")


def defaults(data: Data = "digits", conv: bool = False) -> Small:
    if conv:
        return Small(data=data, conv=True, hidden=())
    if data == "mnist":
        return Small(data=data, hidden=(200,), steps=9, run=Options(draws=99))
    return Small(data=data)


def read(*words):
    return read_command_line(defaults, words, name="small")


def refused(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        read(*words)
    assert ended.value.code == 2
    return " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_nothing_said_gives_the_defaults_and_a_folder_of_the_programs_name():
    assert read() == Small(run=Options(out=Path("runs/small")))
    assert read_command_line(Small, [], name="other").run.out == Path("runs/other")


def test_defaults_depend_on_the_options_that_say_so():
    found = read("--data", "mnist")
    assert (found.hidden, found.steps, found.run.draws) == ((200,), 9, 99)
    found = read("--steps", "3", "--data", "mnist", "--draws", "5")
    assert (found.hidden, found.steps, found.run.draws) == ((200,), 3, 5)
    assert found.classes
    found = read("--data", "mnist", "--no-classes")
    assert (found.data, found.classes) == ("mnist", False)
    found = read("--data", "mnist", "--conv")
    assert (found.conv, found.hidden) == (True, ())


def test_every_kind_of_value():
    found = read("--hidden", "3", "2", "1", "--learning-rate", "1e-3", "--no-plots", "--sample", "7", "--out", "a ü/b")
    assert (found.hidden, found.learning_rate, found.run.no_plots) == ((3, 2, 1), 1e-3, True)
    assert (found.run.sample, found.run.evaluate, found.run.out) == (7, None, Path("a ü/b"))
    assert read("--evaluate", "runs/x").run.evaluate == Path("runs/x")
    for text, value in (("5", 5.0), (".5", 0.5), ("5.", 5.0), ("+2.5E-1", 0.25)):
        assert read("--learning-rate", text).learning_rate == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--steps", "0"], "--steps: 0 must be at least 1"),
        (["--steps", "-1"], "--steps: -1 must be at least 1"),
        (["--steps", "1.5"], "--steps: '1.5' is not a whole number"),
        (["--steps", "1_0"], "--steps: '1_0' is not a whole number"),
        (["--steps", "\uff13"], "is not a whole number"),
        (["--steps", " 3"], "is not a whole number"),
        (["--steps", ""], "--steps: '' is not a whole number"),
        (["--learning-rate", "nan"], "--learning-rate: 'nan' is not a number"),
        (["--learning-rate", "inf"], "--learning-rate: 'inf' is not a number"),
        (["--learning-rate", "1e999"], "--learning-rate: inf must be above 0"),
        (["--learning-rate", "-1"], "--learning-rate: -1.0 must be above 0"),
        (["--hidden", "3", "0"], "--hidden: 0 must be at least 1"),
        (["--sample", "0"], "--sample: 0 must be from 1 to 1000000"),
        (["--sample", "many"], "--sample"),
        (["--draws", "0"], "--draws: 0 must be at least 1"),
        (["--data", "cifar"], "invalid choice 'cifar' for argument '--data'"),
        (["--format", "jpg"], "invalid choice 'jpg' for argument '--format'"),
        (["--device", "tpu"], "--device tpu: device 'tpu' is unknown"),
        (["--evaluate"], "--evaluate"),
        (["--evaluate", ""], "the name is empty"),
        (["--out", ""], "the name is empty"),
        (["--epochs", "3"], "Unrecognized options: --epochs"),
        (["--no-conv"], "Unrecognized options: --no-conv"),
        (["--no-resume"], "Unrecognized options: --no-resume"),
        (["--conv", "--hidden", "3"], "--hidden is about fully connected layers, but --conv is given"),
        (["--resume", "--overwrite"], "--resume and --overwrite are not allowed together"),
        (["--evaluate", "runs/some", "--sample", "3"], "not allowed together"),
        (["--evaluate", "runs/some", "--resume"], "not allowed together"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_code_2_and_words(words, message, capsys):
    assert message in refused(capsys, *words)


def help_of(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        read_command_line(defaults, [*words, "--help"], name="small", description="Fit it.\n\n    p(x) = [z] {é}\n")
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_help_shows_the_description_as_it_stands_and_the_defaults_that_hold(capsys):
    text = help_of(capsys)
    assert text.startswith("Fit it.\n\n    p(x) = [z] {é}\n")
    for words in (
        "--hidden",
        "(default: 8 4)",
        "(default: 1000)",
        "runs/small",
        "units of the layers",
        "of Adam",
        "of z, in the",
    ):
        assert words in text
    assert "None" not in text  # a value that may be missing is not the word None
    text = help_of(capsys, "--data", "mnist")
    assert "(default: 200)" in text
    assert "(default: 9)" in text
    assert "(default: 99)" in text


@pytest.mark.slow
def test_the_help_is_read_in_any_terminal():
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from lessons.test_command_line import defaults
from minigen.lessons import read_command_line
read_command_line(defaults, ["--help"], description="\\u03b8 ~ p(\\u03b8)")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={"PYTHONIOENCODING": "ascii", "PATH": ""}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"? ~ p(?)")
    assert b"--learning-rate" in done.stdout


def test_streams_that_cannot_be_changed_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert read("--steps", "2").steps == 2


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--data", "mnist"],
        ["--data", "mnist", "--hidden", "3", "2"],
        ["--conv", "--learning-rate", "0.25", "--seed", "4"],
        ["--data", "mnist", "--conv", "--draws", "7"],
        ["--data", "mnist", "--no-classes"],
    ],
)
def test_the_command_that_gives_settings_has_the_options_that_differ(words):
    settings = read(*words, "--no-plots", "--out", "elsewhere", "--format", "svg")
    command = command_of(settings, defaults, name="small")
    assert command.split()[:2] == ["python", "examples/small.py"]
    assert sorted(command.split()[2:]) == sorted(words)
    assert read(*command.split()[2:]).configuration() == settings.configuration()


def test_a_default_that_follows_from_another_option_is_not_said():
    found = read("--data", "mnist", "--hidden", "200", "--steps", "9")
    assert command_of(found, defaults, name="small") == "python examples/small.py --data mnist"
    found = read("--hidden", "3", "2", "--out", "a b")
    assert command_of(found, defaults, name="x y") == "python examples/x y.py --hidden 3 2"


def test_a_value_that_begins_with_a_dash_is_not_taken_for_an_option():
    @dataclass(frozen=True, kw_only=True)
    class Named(TrainingSettings):
        column: Annotated[str | None, *optional(str, "NAME")] = None  # of the file

    found = read_command_line(Named, ["--column=-b c"])
    assert found.column == "-b c"
    assert command_of(found, Named, name="x") == "python examples/x.py '--column=-b c'"
