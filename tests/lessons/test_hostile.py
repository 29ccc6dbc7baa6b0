"""The frame on hostile inputs of each sort: what the user has waited for must not be lost while it is reported."""

import io
import itertools
import json
import math
import os
import sys
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from safetensors.numpy import save

from minigen import plots
from minigen.lessons import CHECKPOINT
from minigen.plots.style import new_figure, styled
from minigen.training import read_state

from .test_frame import Lesson, ended, files, teach


def lesson_with(**methods):
    return type("Hostile", (Lesson,), methods)


def raising(error):
    def method(self, *arguments):
        raise error

    return method


# -------------------------------------------------------------------------------------------- refused before the training


def obstacle(path, kind):
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "circle":
        path.symlink_to(path)
    else:
        path.symlink_to("/dev/null")


@pytest.mark.parametrize("file", [CHECKPOINT, "second.safetensors", "metrics.json"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "circle", "device"])
def test_a_place_that_cannot_be_written_is_refused_before_the_training(tmp_path, monkeypatch, file, kind):
    obstacle(tmp_path / file, kind)
    words = ended(monkeypatch, tmp_path, "--second", "--no-plots")
    assert words.startswith("error: ")
    assert str(tmp_path / file) in words
    assert "train" not in Lesson.told
    assert os.listdir(tmp_path) == [file]


def test_results_are_written_through_links(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").mkdir()
    for file in (CHECKPOINT, "metrics.json", "first.png"):
        (tmp_path / "out" / file).symlink_to(tmp_path / "disk" / file)
    teach(monkeypatch, tmp_path / "out")
    assert set(os.listdir(tmp_path / "disk")) == {CHECKPOINT, "metrics.json", "first.png"}
    assert (tmp_path / "out" / CHECKPOINT).is_symlink()


# ---------------------------------------------------------------------------------------------------- a report that fails

ERRORS = [
    ValueError("all images are of one class"), ZeroDivisionError("float division by zero"), MemoryError("728 TiB"), IndexError("5"),
    OSError(28, "No space left on device"), np.linalg.LinAlgError("Singular matrix"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["keep", "pictures", "tables"])
def test_a_report_that_fails_is_a_sentence_and_the_rest_of_it_comes(tmp_path, monkeypatch, capsys, method, error):
    words = ended(monkeypatch, tmp_path, lesson=lesson_with(**{method: raising(error)}))
    assert words.startswith(f"error: the figures are in {tmp_path / 'metrics.json'}, but this failed:\n")
    assert f"{type(error).__name__}: {error} (test_hostile.py, line " in words
    assert {CHECKPOINT, "metrics.json"} <= set(files(tmp_path))
    assert (method == "pictures") != ("first.png" in files(tmp_path))
    text = capsys.readouterr().out
    assert (method == "tables") != ("Learned" in text)
    assert f"written to {tmp_path}/: " in text


def test_a_picture_that_cannot_be_written_does_not_cost_the_next(tmp_path, monkeypatch):
    def pictures(self, figures):
        broken = new_figure(4, 3, "")
        broken.text(0.5, 0.5, r"$\no{such$")
        yield "broken", broken
        yield "whole", new_figure(4, 3, "")

    words = ended(monkeypatch, tmp_path, lesson=lesson_with(pictures=pictures))
    assert "the picture broken: ValueError: " in words
    assert {"whole.png", "metrics.json"} < set(files(tmp_path)), words
    assert "broken.png" not in files(tmp_path)


def test_a_measurement_that_fails_says_that_what_was_trained_is_kept(tmp_path, monkeypatch):
    with pytest.raises(ZeroDivisionError) as raised:
        teach(monkeypatch, tmp_path, lesson=lesson_with(measure=raising(ZeroDivisionError("by zero"))))
    assert raised.value.__notes__ == [
        f"What was trained is kept; the same command with --evaluate {tmp_path} measures it again."
    ]
    assert teach(monkeypatch, None, "--evaluate", tmp_path, "--no-plots") == ["build", "measure", "keep"]


@pytest.mark.parametrize("error", ERRORS[-2:-1], ids=["a full disk"])
def test_a_disk_that_is_full_in_the_training_ends_with_a_sentence(tmp_path, monkeypatch, error):
    assert ended(monkeypatch, tmp_path, lesson=lesson_with(train=raising(error))) == f"\nerror: {error}"


FIGURES = {
    "nan": math.nan, "infinite": -math.inf, "list": [0.5, math.nan], "nested": {"a": [{"b": math.inf}]}, "numpy": np.float32("nan"),
    "array": np.array([1.0, math.inf]), "count": np.int64(3), "nothing": None,
}  # fmt: skip


def test_figures_that_are_not_finite_are_null_and_told(tmp_path, monkeypatch, capsys):
    lesson = lesson_with(measure=lambda self: {**FIGURES, "learned": [], "steps": 5})
    teach(monkeypatch, tmp_path, "--no-plots", lesson=lesson)
    found = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert {name: found[name] for name in FIGURES} == {
        "nan": None, "infinite": None, "list": [0.5, None], "nested": {"a": [{"b": None}]}, "numpy": None, "array": [1.0, None],
        "count": 3, "nothing": None,
    }  # fmt: skip
    told = capsys.readouterr().err
    for name in ("nan", "infinite", "list[1]", "nested.a[0].b", "numpy", "array[1]"):
        assert name in told


# ------------------------------------------------------------------------------------------------- words that are hostile

WORDS = (
    "$x$", "a $ b", "$\\frac{$", "\\alpha", "_height", "x^2_{i}", "{0} %s %d", "<&>--", "身高", "👩\u200d👧", "e\u0301", "bell \a\x00",
    "\ud800", "a\nb", "x" * 300, "",
)  # fmt: skip
TOGETHER = " ".join(WORDS)


@pytest.mark.parametrize(("form", "titles"), [("svg", WORDS), ("png", [TOGETHER]), ("pdf", [TOGETHER])])
def test_a_title_is_drawn_whatever_is_in_it(tmp_path, form, titles):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for i, title in enumerate(titles):
            plots.save(styled(new_figure)(4, 3, title), tmp_path / f"{i}.{form}")
            if form == "svg":
                ElementTree.parse(tmp_path / f"{i}.svg")


def test_a_formula_in_a_title_is_not_set():
    with_dollars, without = (styled(new_figure)(4, 3, title) for title in ("$x$", "x"))
    widths = []
    for figure in (with_dollars, without):
        figure.draw_without_rendering()
        widths.append(figure._suptitle.get_window_extent().width)
    assert widths[0] > 1.5 * widths[1]  # the dollar signs are there


def test_characters_of_a_text_are_drawn_whatever_they_are(tmp_path):
    letters = "".join(sorted(set(TOGETHER)))
    chances = np.full(len(letters), 1 / len(letters))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.save(plots.surprise(TOGETHER[:100], np.ones(100), title=TOGETHER), tmp_path / "surprise.svg")
        plots.save(plots.temperatures(letters, {"1": chances}, shown=99), tmp_path / "temperatures.svg")
    for name in ("surprise", "temperatures"):
        ElementTree.parse(tmp_path / f"{name}.svg")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-16", "koi8-r"])
def test_a_report_is_printed_on_any_terminal(tmp_path, monkeypatch, encoding):
    def tables(self, figures):
        yield "± ≥ 身高 é \ud800", [(words, words) for words in WORDS]

    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    teach(monkeypatch, tmp_path, "--no-plots", lesson=lesson_with(tables=tables))
    assert "written to" in terminal.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("words", [["--help"], ["--no-plots"]])
def test_a_reader_who_stops_reading_is_not_an_error(tmp_path, monkeypatch, words):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        assert ended(monkeypatch, tmp_path, *words) == 1
    assert ("metrics.json" in os.listdir(tmp_path)) == (words != ["--help"])


# --------------------------------------------------------------------------------------------------- damaged checkpoints

VALUES = (
    "run.step",
    "run.steps",
    "run.seconds",
    "run.rows",
    "run.configuration",
    "order.key",
    "optimizer.counts",
    "optimizer.steps",
)
WRONG = (math.nan, -3, 1.5, 10**400, True, None, "3", [], [None], {}, {"widths": "x"})


COURSES = (["--resume"], ["--evaluate"], ["--sample", "2"], [])


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_a_damaged_checkpoint_ends_with_a_sentence_on_every_course(tmp_path, monkeypatch, every):
    path = tmp_path / CHECKPOINT
    teach(monkeypatch, tmp_path, "--no-plots")
    state = read_state(path)
    tensors = {name: value for name, value in state.items() if hasattr(value, "shape")}
    good = {name: value for name, value in state.items() if name not in tensors}
    settings = good["run.configuration"]
    damages = [{name: wrong} for name, wrong in itertools.product(VALUES, WRONG)]
    damages += [{"run.configuration": settings | {name: wrong}} for name, wrong in itertools.product(settings, WRONG)]
    damages.remove({"run.configuration": settings | {"widths": []}})  # not damaged, but too little for this lesson
    for damage, course in list(itertools.product(damages, COURSES))[::every]:
        content = save(tensors, {"minigen": json.dumps({"format": 2, "values": good | damage})})
        path.write_bytes(content)
        words = [*course, tmp_path] if course == ["--evaluate"] else course
        said = None
        try:
            teach(monkeypatch, tmp_path, "--no-plots", *words)
        except SystemExit as end:
            said = end.code
        assert said is None or (said.startswith("error: ") and path.read_bytes() == content), (damage, course, said)


# ------------------------------------------------------------------------------------------------ what would surprise


def test_options_that_the_run_overrules_are_told(tmp_path, monkeypatch, capsys):
    teach(monkeypatch, tmp_path / "run", "--widths", "4", "3", "--no-plots")
    capsys.readouterr()
    teach(
        monkeypatch,
        tmp_path / "elsewhere",
        "--evaluate",
        tmp_path / "run",
        "--widths",
        "7",
        "--seed",
        "0",
        "--no-plots",
    )
    told = capsys.readouterr().err
    assert f"note: --widths 7 is not used; the run in {tmp_path / 'run'} has 4 3\n" in told
    assert f"note: --out {tmp_path / 'elsewhere'} is not used; results go to {tmp_path / 'run'}\n" in told
    assert told.count("note: ") == 2
    teach(monkeypatch, tmp_path / "run", "--sample", "2", "--second", "--widths", "4", "3", "--no-plots")
    assert capsys.readouterr().err == f"note: --second is not used; the run in {tmp_path / 'run'} is without it\n"


def test_samples_of_an_unfinished_run_are_told(tmp_path, monkeypatch, capsys):
    ended(monkeypatch, tmp_path, "--fails", "step 1")
    capsys.readouterr()
    teach(monkeypatch, tmp_path, "--sample", "2", "--no-plots")
    assert (
        "note: the run stopped after 2 of 5 steps; the samples are from the model as it was then"
        in capsys.readouterr().err
    )
