"""The frame of the examples, by a lesson that takes no time: every course from the command line to the closing table, and every refusal."""

import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from matplotlib.figure import Figure

import minigen as mg
from minigen import lessons, plots
from minigen.lessons import CHECKPOINT, Count, Positive, TrainingSettings, Whole
from minigen.nn import Module, Parameter
from minigen.optim import SGD
from minigen.training import DrawingStopped, read_state


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.TrainingSettings):
    steps: Count = 5  # of SGD
    learning_rate: Positive = 0.1  # of SGD
    widths: tuple[Count, ...] = (2,)  # numbers that are learned
    second: bool = False  # train a second one
    fails: str = "nowhere"  # where something goes wrong
    run: lessons.SamplingOptions = lessons.SamplingOptions()


class Numbers(Module):
    """Learns the mean of what it sees."""

    def __init__(self, width):
        self.w = Parameter(np.zeros(width, np.float32))

    def loss(self, x):
        return mg.mean((self.w - x) ** 2)


class Lesson(lessons.TrainingLesson[Settings]):
    """A lesson that writes down in `told` what the frame asks of it."""

    told: list = []

    def __init__(self, s):
        super().__init__(s)
        self.told.append("build")
        self.models = [Numbers(s.widths[0]) for _ in range(2 if s.second else 1)]
        self.optimizers = [SGD(model, learning_rate=s.learning_rate) for model in self.models]
        for model, optimizer, file in zip(
            self.models, self.optimizers, (CHECKPOINT, "second.safetensors"), strict=False
        ):
            parts = {"model": model, "optimizer": optimizer}
            self.new_run(file, rows=10, file=file, monitor=lambda: {"seen": 1.0}, parts=parts)

    def train(self):
        self.told.append("train")
        for model, optimizer, run in zip(self.models, self.optimizers, self.runs, strict=True):
            for step in run:
                if self.settings.fails == f"step {step}":
                    signal.raise_signal(signal.SIGINT)
                optimizer.zero_grad()
                loss = model.loss(self.rng.normal((self.settings.widths[0],)))
                if self.settings.fails == "loss":
                    loss = loss * float("nan")
                run.stop_if_diverged(step, loss, {})
                loss.backward()
                optimizer.step()
                run.log(step, {"loss": loss})

    def measure(self):
        self.told.append("measure")
        return {
            "learned": [model.w.data.tolist() for model in self.models],
            "drawn": self.evaluation_rng().normal(2).tolist(),
        }

    def keep(self):
        self.told.append("keep")

    def pictures(self, figures):
        self.told.append("pictures")
        assert figures["steps"] == self.settings.steps
        assert (self.out / "metrics.json").is_file()  # figures outlive pictures that fail
        yield "first", Figure()
        if self.settings.fails == "picture":
            raise RuntimeError("no ink")
        yield "moving", plots.growing_images([(1, np.ones((4, 8, 8, 1)))], columns=2, title="moving")

    def tables(self, figures):
        yield "Learned", [("numbers", str(len(figures["learned"])))]
        yield "Again", [("seed", str(figures["seed"]))]

    def samples(self, n):
        self.told.append("samples")
        stopped = DrawingStopped("stopped after 1 of 9 steps of drawing") if self.settings.fails == "drawing" else None
        return lessons.Samples({"numbers": np.arange(n)}, Figure(), stopped)


def teach(monkeypatch, out, *words, lesson=Lesson):
    """Run the lesson; return what the frame asked of it."""
    lesson.told.clear()
    monkeypatch.setattr(sys, "argv", ["examples/numbers.py", *map(str, words), *(("--out", str(out)) if out else ())])
    lessons.teach(lesson, Settings, "Learn some numbers.")
    return list(lesson.told)


def ended(monkeypatch, out, *words, lesson=Lesson):
    with pytest.raises(SystemExit) as end:
        teach(monkeypatch, out, *words, lesson=lesson)
    return end.value.code


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def figures_of(folder):
    import json

    return {
        name: value for name, value in json.loads((folder / "metrics.json").read_text()).items() if name != "seconds"
    }


# ---------------------------------------------------------------------------------------------------------------- a new run


def test_a_new_run_is_built_trained_measured_kept_drawn_and_told(tmp_path, monkeypatch, capsys):
    told = teach(monkeypatch, tmp_path / "out", "--widths", "3")
    assert told == ["build", "train", "measure", "keep", "pictures"]
    names = {CHECKPOINT, "metrics.json", "first.png", "moving.gif"}
    assert set(files(tmp_path / "out")) == names
    text = capsys.readouterr().out
    assert re.search(r"Learned\n-+\nnumbers +1\n\nAgain\n-+\nseed +0\nseconds of training +0\.\d\n", text)
    assert text.endswith(f"written to {tmp_path / 'out'}/: {', '.join(sorted(names))}\n")
    figures = figures_of(tmp_path / "out")
    assert (figures["steps"], figures["seed"], figures["device"], figures["widths"]) == (5, 0, "cpu", [3])
    assert figures["command"] == "python examples/numbers.py --widths 3"
    assert {"python", "numpy", "minigen"} <= set(figures["versions"])
    state = read_state(tmp_path / "out" / CHECKPOINT)
    assert state["run.configuration"] == {
        "seed": 0, "learning_rate": 0.1, "widths": [3], "second": False, "fails": "nowhere"
    }  # fmt: skip
    assert [row["seen"] for row in state["run.rows"]] == [1.0] * 5


def test_pictures_may_be_left_out_or_have_another_format(tmp_path, monkeypatch):
    assert "pictures" not in teach(monkeypatch, tmp_path / "none", "--no-plots")
    assert set(files(tmp_path / "none")) == {CHECKPOINT, "metrics.json"}
    teach(monkeypatch, tmp_path / "svg", "--format", "svg")
    assert {"first.svg", "moving.gif"} < set(files(tmp_path / "svg"))


def test_the_folder_is_named_after_the_program_and_may_have_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    teach(monkeypatch, None, "--no-plots")
    assert (tmp_path / "runs" / "numbers" / "metrics.json").is_file()
    teach(monkeypatch, tmp_path / "läufe und 走" / "a b", "--no-plots")
    assert (tmp_path / "läufe und 走" / "a b" / CHECKPOINT).is_file()


def test_figures_and_the_table_outlive_a_picture_that_fails(tmp_path, monkeypatch, capsys):
    words = ended(monkeypatch, tmp_path, "--fails", "picture")
    assert words.startswith(f"error: the figures are in {tmp_path / 'metrics.json'}, but this failed:\n")
    assert "the missing pictures: RuntimeError: no ink (test_frame.py, line " in words
    assert {"metrics.json", "first.png"} < set(files(tmp_path))
    assert "Learned" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------------ folders that will not do


def test_a_folder_that_is_a_file_is_refused_before_anything_is_built(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "deeper" / "still"):
        words = ended(monkeypatch, out)
        assert words == f"error: --out {out}: {tmp_path / 'file'} is not a folder"
        assert Lesson.told == []
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_into_is_refused_before_anything_is_built(tmp_path, monkeypatch):
    def no_space(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lessons.frame, "TemporaryFile", no_space)
    words = ended(monkeypatch, tmp_path / "new" / "out")
    assert (
        words
        == f"error: --out {tmp_path / 'new' / 'out'}: nothing can be written to {tmp_path}: No space left on device"
    )
    assert Lesson.told == []
    assert not (tmp_path / "new").exists()


def test_a_link_to_nothing_is_refused_before_anything_is_built(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert ended(monkeypatch, tmp_path / "link").endswith("link is not a folder")
    assert Lesson.told == []


def test_a_setting_beyond_all_bounds_ends_with_a_sentence(tmp_path, monkeypatch):
    class Huge(Lesson):
        def train(self):
            return [0.0] * 10**26

    assert ended(monkeypatch, tmp_path, lesson=Huge).startswith("\nerror: a setting is too large to compute with: ")


def test_memory_that_is_not_there_ends_with_a_sentence(tmp_path, monkeypatch):
    class Huge(Lesson):
        def train(self):
            raise MemoryError("unable to allocate 728 TiB")

    assert (
        ended(monkeypatch, tmp_path, lesson=Huge) == "\nerror: there is not enough memory: unable to allocate 728 TiB"
    )


def test_a_name_that_no_folder_can_have_is_refused(tmp_path, monkeypatch):
    assert ended(monkeypatch, tmp_path / ("x" * 300)).startswith("error: ")
    assert Lesson.told == []


# ------------------------------------------------------------------------------------------------- broken off, resumed, diverged


@pytest.mark.parametrize("step", [0, 2, 4])
def test_a_run_that_is_broken_off_and_resumed_ends_as_an_unbroken_one(step, tmp_path, monkeypatch):
    options = ["--fails", f"step {step}", "--no-plots"]
    signals = [signal.raise_signal, lambda number: None]
    with monkeypatch.context() as patch:
        patch.setattr(signal, "raise_signal", signals[1])
        teach(patch, tmp_path / "unbroken", *options)
    words = ended(monkeypatch, tmp_path / "broken", *options)
    kept = tmp_path / "broken" / CHECKPOINT
    assert words == (
        f"\nstopped after {step + 1} of 5 steps; their state is in {kept}; the same command with --resume goes on from there"
    )
    assert set(files(tmp_path / "broken")) == {CHECKPOINT}
    with monkeypatch.context() as patch:
        patch.setattr(signal, "raise_signal", signals[1])
        teach(patch, tmp_path / "broken", *options, "--resume")
    assert figures_of(tmp_path / "broken") == figures_of(tmp_path / "unbroken")
    one, other = (read_state(tmp_path / which / CHECKPOINT) for which in ("broken", "unbroken"))
    for name in one.keys() - {"run.seconds"}:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_ctrl_c_in_a_finished_run_that_is_run_again_keeps_what_was_finished(tmp_path, monkeypatch):
    options = ["--fails", "step 2", "--no-plots"]
    with monkeypatch.context() as patch:
        patch.setattr(signal, "raise_signal", lambda number: None)
        teach(patch, tmp_path, *options)
    before = files(tmp_path)
    words = ended(monkeypatch, tmp_path, *options)
    assert f"stopped after 3 of 5 steps; {tmp_path / CHECKPOINT} still holds the finished run" in words
    assert files(tmp_path) == before
    words = ended(monkeypatch, tmp_path, *options, "--overwrite")
    assert words.endswith("the same command with --resume in place of --overwrite goes on from there")
    assert read_state(tmp_path / CHECKPOINT)["run.step"] == 3


def test_overwriting_the_first_of_two_runs_overwrites_the_second(tmp_path, monkeypatch):
    teach(monkeypatch, tmp_path, "--second", "--no-plots")
    options = ["--second", "--seed", "4", "--fails", "step 1", "--no-plots"]
    assert "stopped after 2 of 5 steps" in ended(monkeypatch, tmp_path, *options, "--overwrite")
    monkeypatch.setattr(signal, "raise_signal", lambda number: None)
    teach(monkeypatch, tmp_path, *options, "--resume")
    assert figures_of(tmp_path)["seed"] == 4


def test_a_training_that_diverges_ends_with_a_sentence_and_leaves_no_figures(tmp_path, monkeypatch):
    words = ended(monkeypatch, tmp_path / "out", "--fails", "loss")
    assert re.match(rf"\nerror: {CHECKPOINT}: loss is nan at step 0; lower the learning rate", words)
    assert not (tmp_path / "out").exists()


def test_ctrl_c_where_nothing_can_be_kept_says_just_that(tmp_path, monkeypatch):
    class Interrupted(Lesson):
        def __init__(self, s):
            raise KeyboardInterrupt

    assert ended(monkeypatch, tmp_path, lesson=Interrupted) == "\nstopped"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("measure", "stopped while measuring; what was trained is kept"),
        ("keep", "stopped while drawing; the figures are in {}; what was trained is kept"),
        ("pictures", "stopped while drawing; the figures are in {}; what was trained is kept"),
    ],
)
def test_ctrl_c_behind_the_training_says_what_is_kept(method, words, tmp_path, monkeypatch):
    def interrupted(self, *arguments):
        raise KeyboardInterrupt

    lesson = type("Interrupted", (Lesson,), {method: interrupted})
    assert ended(monkeypatch, tmp_path, lesson=lesson) == f"\n{words.format(tmp_path / 'metrics.json')}"
    assert (tmp_path / CHECKPOINT).is_file()


def test_resuming_may_add_steps_but_needs_the_same_settings(tmp_path, monkeypatch):
    teach(monkeypatch, tmp_path, "--no-plots")
    teach(monkeypatch, tmp_path, "--no-plots", "--resume", "--steps", "8")
    assert figures_of(tmp_path)["steps"] == 8
    before = files(tmp_path)
    assert "fewer" in ended(monkeypatch, tmp_path, "--resume", "--steps", "3")
    words = ended(monkeypatch, tmp_path, "--resume", "--steps", "8", "--seed", "4", "--widths", "3", "2")
    assert "is of another run: seed: 0 there, 4 now; widths: [2] there, [3, 2] now" in words
    assert files(tmp_path) == before


def test_there_must_be_something_to_resume(tmp_path, monkeypatch):
    assert "error: there is nothing to resume" in ended(monkeypatch, tmp_path / "typo", "--resume")
    assert not (tmp_path / "typo").exists()


def test_another_run_is_overwritten_only_if_that_is_asked_for(tmp_path, monkeypatch):
    teach(monkeypatch, tmp_path, "--no-plots")
    before = files(tmp_path)
    words = ended(monkeypatch, tmp_path, "--seed", "1")
    assert "which this one would overwrite: seed: 0 there, 1 now. Choose another folder (--out), or overwrite" in words
    assert files(tmp_path) == before
    assert teach(monkeypatch, tmp_path, "--seed", "1", "--overwrite")[1] == "train"
    assert figures_of(tmp_path)["seed"] == 1
    teach(monkeypatch, tmp_path, "--seed", "1")  # the very same run may be run again


def test_of_two_runs_the_one_that_had_not_begun_begins_when_the_other_is_resumed(tmp_path, monkeypatch):
    teach(monkeypatch, tmp_path / "whole", "--second", "--no-plots")
    teach(monkeypatch, tmp_path / "part", "--second", "--no-plots")
    (tmp_path / "part" / "second.safetensors").unlink()
    teach(monkeypatch, tmp_path / "part", "--second", "--no-plots", "--resume")
    learned = figures_of(tmp_path / "part")["learned"]
    assert learned[0] == figures_of(tmp_path / "whole")["learned"][0]
    assert learned[1] != [0.0, 0.0]


# ------------------------------------------------------------------------------------------------------- evaluated, sampled from


def test_a_finished_run_is_measured_again_with_its_own_settings(tmp_path, monkeypatch):
    teach(monkeypatch, tmp_path / "run", "--widths", "4", "3", "--seed", "9", "--steps", "3", "--no-plots")
    before, figures = files(tmp_path / "run"), figures_of(tmp_path / "run")
    told = teach(monkeypatch, tmp_path / "ignored", "--evaluate", tmp_path / "run", "--format", "svg", "--widths", "7")
    assert told == ["build", "measure", "keep", "pictures"]
    assert figures_of(tmp_path / "run") == figures
    assert files(tmp_path / "run")[CHECKPOINT] == before[CHECKPOINT]
    assert set(files(tmp_path / "run")) == {*before, "first.svg", "moving.gif"}
    assert not (tmp_path / "ignored").exists()


def test_samples_are_drawn_from_a_run_even_an_unfinished_one(tmp_path, monkeypatch, capsys):
    ended(monkeypatch, tmp_path, "--fails", "step 1", "--second", "--widths", "6")
    told = teach(monkeypatch, tmp_path, "--sample", "7", "--format", "pdf")
    assert told == ["build", "samples"]  # of the first run: the second has not begun
    assert capsys.readouterr().out == f"written to {tmp_path}/: samples.npz, samples.pdf\n"
    with np.load(tmp_path / "samples.npz") as arrays:
        np.testing.assert_array_equal(arrays["numbers"], range(7))
    assert "stopped after 2 of 5 steps: to finish it, repeat its command with --resume" in ended(
        monkeypatch, None, "--evaluate", tmp_path
    )


def test_samples_without_a_picture(tmp_path, monkeypatch, capsys):
    teach(monkeypatch, tmp_path, "--no-plots")
    capsys.readouterr()
    teach(monkeypatch, tmp_path, "--sample", "2", "--no-plots")
    assert capsys.readouterr().out == f"written to {tmp_path}/: samples.npz\n"
    assert not (tmp_path / "samples.png").exists()


def test_a_run_whose_choices_this_lesson_does_not_have_is_not_evaluated(tmp_path, monkeypatch):
    @dataclass(frozen=True, kw_only=True)
    class Other(Settings):
        fails: Literal["never", "always"] = "never"  # type: ignore[assignment]

    teach(monkeypatch, tmp_path, "--no-plots")
    monkeypatch.setattr(sys, "argv", ["other.py", "--evaluate", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        lessons.teach(Lesson, Other, None)
    assert end.value.code == (
        f"error: {tmp_path / CHECKPOINT} belongs to another program: --fails: nowhere is not one of never, always"
    )


def test_what_is_drawn_before_ctrl_c_is_written(tmp_path, monkeypatch):
    teach(monkeypatch, tmp_path, "--fails", "drawing", "--no-plots")
    words = ended(monkeypatch, tmp_path, "--sample", "3")
    assert words == "\nstopped after 1 of 9 steps of drawing; what was trained is kept"
    assert {"samples.npz", "samples.png"} < set(files(tmp_path))


def test_there_must_be_a_run_to_evaluate_or_to_sample_from(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "typo", tmp_path / "empty"):
        words = ended(monkeypatch, None, "--evaluate", folder)
        assert words == f"error: there is no run in {folder}: name the folder of one with --evaluate RUN"
        assert ended(monkeypatch, folder, "--sample", 3).endswith("name the folder of one with --out RUN")
    assert not (tmp_path / "typo").exists()


def test_a_run_of_another_lesson_is_not_evaluated(tmp_path, monkeypatch):
    @dataclass(frozen=True, kw_only=True)
    class More(Settings):
        depth: Whole = 1
        strength: Positive = 1.0

    teach(monkeypatch, tmp_path, "--no-plots")
    monkeypatch.setattr(sys, "argv", ["more.py", "--evaluate", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        lessons.teach(Lesson, More, None)
    assert (
        end.value.code == f"error: {tmp_path / CHECKPOINT} belongs to another program: it does not have depth, strength"
    )


def test_a_file_that_is_not_a_checkpoint_is_not_evaluated(tmp_path, monkeypatch):
    (tmp_path / CHECKPOINT).write_bytes(b"\x00" * 7)
    assert "is not a whole safetensors file" in ended(monkeypatch, None, "--evaluate", tmp_path)
    assert "is not a whole safetensors file" in ended(monkeypatch, tmp_path, "--resume")


def test_settings_that_cannot_be_built_end_with_a_sentence(tmp_path, monkeypatch):
    class Refusing(Lesson):
        def __init__(self, s):
            raise ValueError("my.csv has no column 'hight'")

    assert ended(monkeypatch, tmp_path, lesson=Refusing) == "error: my.csv has no column 'hight'"


def test_a_mistake_of_the_lessons_own_is_not_hidden(tmp_path, monkeypatch):
    class Broken(Lesson):
        def measure(self):
            raise TypeError("unsupported operand")

    with pytest.raises(TypeError, match="unsupported operand"):
        teach(monkeypatch, tmp_path, lesson=Broken)


# ----------------------------------------------------------------------------------------------------- a lesson that trains nothing


class Still(lessons.Lesson[lessons.Settings]):
    def measure(self):
        return {"answer": 42}

    def tables(self, figures):
        yield "Answer", [("answer", str(figures["answer"]))]


def test_a_lesson_that_trains_nothing_has_no_options_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["still.py", "--seed", "3", "--out", str(tmp_path)])
    lessons.teach(Still, lessons.Settings, None)
    assert figures_of(tmp_path).keys() == {"seed", "answer", "command", "versions"}
    assert "seconds" not in capsys.readouterr().out
    for option in ("--resume", "--steps", "--device"):
        monkeypatch.setattr(sys, "argv", ["still.py", option])
        with pytest.raises(SystemExit) as end:
            lessons.teach(Still, lessons.Settings, None)
        assert end.value.code == 2
    monkeypatch.setattr(sys, "argv", ["still.py", "--out", str(Path(__file__))])
    with pytest.raises(SystemExit, match="is not a folder"):
        lessons.teach(Still, lessons.Settings, None)


def test_settings_without_steps_train_a_thousand():
    assert TrainingSettings().steps == 1000
