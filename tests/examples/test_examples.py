"""The examples as a user meets them: what every one of them has in common. What each learns is tested in a file of its own."""

import ast
import dataclasses
import re
import typing

import pytest

from minigen import lessons
from minigen.lessons.settings import Range, option
from minigen.optim import Adam
from minigen.training.run import Run

from .running import (
    FOLDER,
    SMALLEST,
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

EXAMPLES = pytest.mark.parametrize("name", SMALLEST)
LONGEST, MEAN = 220, 180  # lines of a lesson
FIRST_SCREEN = 110  # lines, within which a lesson's loop begins


def lines_of(name):
    return (FOLDER / f"{name}.py").read_text().splitlines()


def settings_of(name):
    return loaded(name).get("defaults", loaded(name)["Settings"])()


def options_of(name):
    """The settings that an example has options for, as option, type and whether it may be missing."""
    found = {}
    settings = settings_of(name)
    for part in (settings, settings.run):
        hints = typing.get_type_hints(type(part), include_extras=True)
        for field in dataclasses.fields(part):
            if field.name != "run":
                found[option(f"no_{field.name}" if field.default is True else field.name)] = hints[field.name]
    return found


def test_every_example_is_covered():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(SMALLEST)


# ---------------------------------------------------------------------------------------------------------- short lessons


@EXAMPLES
def test_an_example_is_a_short_lesson_whose_loop_is_in_sight(name):
    lines = lines_of(name)
    assert len(lines) <= LONGEST
    if hasattr(settings_of(name), "steps"):
        (train,) = [i for i, line in enumerate(lines) if line.strip().startswith("def train(self)")][:1]
        assert train <= FIRST_SCREEN


def test_examples_are_short_on_the_whole():
    assert sum(len(lines_of(name)) for name in SMALLEST) <= MEAN * len(SMALLEST)


@EXAMPLES
def test_the_docstring_says_how_to_run_it_with_options_that_exist(name, monkeypatch, capsys):
    docstring = ast.get_docstring(ast.parse("\n".join(lines_of(name))))
    commands = [line for line in docstring.splitlines() if line.strip().startswith("python examples/")]
    assert commands[0].strip().startswith(f"python examples/{name}.py")
    for command in commands:
        program, *words = command.split("#")[0].split()[1:]
        assert program == f"examples/{name}.py"
        if "my.csv" not in words and "genome.txt" not in words:
            lessons.read_command_line(loaded(name).get("defaults", loaded(name)["Settings"]), words)
    assert set(re.findall(r"--[a-z][a-z-]+", docstring)) <= set(options_of(name))


# ---------------------------------------------------------------------------------------------------------- command lines


@EXAMPLES
def test_help_says_what_each_option_is_for(name, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "500")
    assert ended(monkeypatch, name, "--help") == 0
    text = capsys.readouterr().out
    assert lines_of(name)[0].strip('"') in text
    for word in options_of(name):
        (described,) = re.findall(rf"^[│ ]+{word}(?![a-z-])(.*?)(?=^[│ ]+--|^\s*$|^╰)", text, re.MULTILINE | re.DOTALL)
        words = re.sub(r"\(default: .*?\)|\{.*?\}|\[?\b[A-Z]+\b\]?|[│\s\[\]./]", "", described)
        assert words, f"{word} is not explained"
    assert "None" not in text.partition("usage:")[2]  # a value that may be missing is not the word None


def ranges(hint):
    if typing.get_origin(hint) is typing.Annotated:
        return [mark for mark in hint.__metadata__ if isinstance(mark, Range)]
    return [found for part in typing.get_args(hint) for found in ranges(part)]


@pytest.mark.slow
@EXAMPLES
def test_every_number_has_a_range_and_what_is_outside_is_refused_by_name(name, capsys):
    read = loaded(name).get("defaults", loaded(name)["Settings"])
    for word, hint in options_of(name).items():
        kinds = set(typing.get_args(hint)) | {hint} if typing.get_origin(hint) is not typing.Literal else set()
        is_number = bool(kinds & {int, float}) or bool(ranges(hint))
        assert is_number <= bool(ranges(hint)), f"{word} has no range"
        if not is_number:
            continue
        wrong = ["nan", "1_0", "\uff13", "x", ""]
        wrong += ["-1"] if all(found.least >= 0 for found in ranges(hint)) else []
        for value in wrong:
            with pytest.raises(SystemExit) as end:
                lessons.read_command_line(read, [word, value])
            assert end.value.code == 2
            assert word in capsys.readouterr().err


@EXAMPLES
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "3"], "Unrecognized options: --epochs"),
        (["--format", "jpg"], "invalid choice 'jpg' for argument '--format'"),
        (["--seed", "-1"], "--seed: -1 must be from 0 to 9223372036854775807"),
        (["--seed", "18446744073709551615"], "--seed: 18446744073709551615 must be from 0 to 9223372036854775807"),
        (["--seed", str(2**70)], f"--seed: {2**70} must be from 0 to 9223372036854775807"),
    ],
)
def test_wrong_words_end_with_code_2_and_a_sentence(name, words, message, monkeypatch, capsys):
    assert message in refusal(capsys, monkeypatch, name, *words)


@EXAMPLES
def test_samples_beyond_any_memory_are_refused_at_once(name, capsys):
    if "--sample" not in options_of(name):
        pytest.skip("it draws no samples")
    for count in ("0", "1000001", "1000000000000", str(10**26)):
        with pytest.raises(SystemExit) as end:
            lessons.read_command_line(loaded(name).get("defaults", loaded(name)["Settings"]), ["--sample", count])
        assert end.value.code == 2
        words = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().err).split())
        assert f"--sample: {count} must be from 1 to 1000000" in words


@pytest.mark.slow
@EXAMPLES
def test_the_largest_seed_is_one(name, tmp_path, monkeypatch):
    assert (
        run_here(monkeypatch, name, tmp_path, *SMALLEST[name], "--no-plots", "--seed", str(2**63 - 1))["seed"]
        == 2**63 - 1
    )


# ------------------------------------------------------------------------------------------------------- what they leave


@pytest.mark.slow
@EXAMPLES
def test_an_example_repeats_itself_in_another_process_with_all_its_pictures(name, tmp_path, monkeypatch, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    printed, figures = run_alone(name, first, *SMALLEST[name])
    again = run_here(monkeypatch, name, second, *SMALLEST[name])
    for out, text in ((first, printed), (second, capsys.readouterr().out)):
        assert f"written to {out}/: {', '.join(sorted(files_in(out)))}" in text
    assert without_time(again) == without_time(figures)
    assert figures["seed"] == 0
    assert {"python", "numpy", "minigen"} <= set(figures["versions"])
    assert "metrics.json" in files_in(first)
    assert any(path.suffix == ".png" for path in first.iterdir())
    assert files_in(first) == files_in(second)
    for file in files_in(first):
        if not re.fullmatch(r"metrics\.json|(checkpoint|autoencoder|(ring|grid|without|hinge)-.*)\.safetensors", file):
            assert (first / file).read_bytes() == (second / file).read_bytes(), file  # the others tell the time


TRAINING = pytest.mark.parametrize(
    "name", [name for name in SMALLEST if name not in ("optimal_transport", "reparameterization")]
)


@pytest.mark.slow
@TRAINING
def test_an_example_that_is_broken_off_and_resumed_ends_as_an_unbroken_one(name, tmp_path, monkeypatch):
    whole, broken, options = tmp_path / "whole", tmp_path / "broken", [*SMALLEST[name], "--no-plots"]
    figures = run_here(monkeypatch, name, whole, *options)
    words = interrupted(monkeypatch, name, broken, *options, where=(Adam, "step"), after=1)
    assert re.match(
        r"\nstopped after 1 of \d+ steps; their state is in .*; the same command with --resume goes on", words
    )
    assert all(path.suffix == ".safetensors" for path in broken.iterdir())
    assert without_time(run_here(monkeypatch, name, broken, *options, "--resume")) == without_time(figures)
    assert files_in(broken) == files_in(whole)
    for path in whole.glob("*.safetensors"):
        assert entries(path) == entries(broken / path.name), path.name


@pytest.mark.slow
@TRAINING
def test_an_example_that_trains_is_evaluated_again_to_the_same_figures(name, tmp_path, monkeypatch):
    figures = run_here(monkeypatch, name, tmp_path, *SMALLEST[name], "--no-plots")
    taken = []
    monkeypatch.setattr(Run, "__iter__", lambda run: taken.append(run) or iter(()))
    again = run_here(monkeypatch, name, tmp_path, *SMALLEST[name], "--no-plots", "--evaluate", tmp_path)
    assert without_time(again) == without_time(figures)
    assert not taken


# ------------------------------------------------------------------------------------------- lessons with closed forms


def test_gaussian_mle_reaches_the_closed_form(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "gaussian_mle", tmp_path, "--no-plots")
    assert figures["negative_log_likelihood"] == pytest.approx(figures["negative_log_likelihood_minimum"], rel=1e-5)
    assert figures["largest_difference"] < 1e-3
    assert files_in(tmp_path) == {"checkpoint.safetensors", "metrics.json", "weights.safetensors"}


@pytest.mark.slow
def test_gaussian_mle_with_minibatches(tmp_path, monkeypatch):
    figures = run_here(monkeypatch, "gaussian_mle", tmp_path, "--batch-size", "32")
    assert figures["batch_size"] == 32
    gap = figures["negative_log_likelihood"] - figures["negative_log_likelihood_minimum"]
    assert -1e-5 < gap < 0.1


def test_reparameterization_agrees_with_the_closed_forms(tmp_path, monkeypatch):
    settings = ["--mean", "0.5", "--scale", "1.5", "--repetitions", "100", "--seed", "4", "--no-plots"]
    figures = run_here(monkeypatch, "reparameterization", tmp_path, *settings)
    assert figures["exact_gradient"] == 1.0
    for estimator in ("score_function", "reparameterized"):
        found = figures[estimator]
        assert abs(found["mean"] - 1.0) < 5 * found["standard_error"]
        # 25,600 estimates with kurtosis below 100: a relative standard error of the deviation below 1/2 sqrt(100 / 25600).
        assert found["standard_deviation"] == pytest.approx(found["standard_deviation_exact"], rel=5 * 0.032)
