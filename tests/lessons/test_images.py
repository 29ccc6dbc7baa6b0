"""Lessons about images: which images a run has learned, and files that are not there."""

from dataclasses import dataclass
from typing import get_args

import pytest

from minigen import lessons
from minigen.data import IMAGE_SETS, factored, load_images


def test_a_run_knows_its_images_not_only_their_name():
    class Fewer(lessons.ImageLesson):
        def load(self):
            training, test = load_images("digits")
            return training.take(slice(0, 1000)), test

    whole, fewer = lessons.ImageLesson(lessons.ImageSettings()), Fewer(lessons.ImageSettings())
    assert whole.configuration()["images_sha256"] != fewer.configuration()["images_sha256"]
    assert whole.configuration() == lessons.ImageLesson(lessons.ImageSettings()).configuration()
    assert whole.steps_per_epoch == 1438 // 64


def test_files_that_are_not_there_are_asked_for_by_the_name_of_the_option(tmp_path):
    settings = lessons.ImageSettings(data="mnist", run=lessons.ImageOptions(data_dir=tmp_path))
    with pytest.raises(FileNotFoundError, match="The option for the folder is --data-dir FOLDER"):
        lessons.ImageLesson(settings)


def test_a_file_that_is_not_an_extractor_is_refused_by_the_name_of_the_option(tmp_path):
    with pytest.raises(ValueError, match=r"--extractor .*none: .*there is no file"):
        lessons.load_extractor(tmp_path / "none", (8, 8, 1))


def test_every_set_of_images_is_grey_or_coloured_and_only_some_lessons_take_colour(monkeypatch):
    monkeypatch.setattr(factored, "SIZES", {"train": 20, "test": 10})
    assert get_args(lessons.ImageSet) + get_args(lessons.ColourImageSet) == IMAGE_SETS

    @dataclass(frozen=True, kw_only=True)
    class Coloured(lessons.ImageSettings):
        data: lessons.ImageSet | lessons.ColourImageSet = "faces"  # what to learn

    assert lessons.read_command_line(Coloured, ["--data", "shapes"]).data == "shapes"
    assert lessons.ImageLesson(Coloured()).size == (32, 32, 3)
    with pytest.raises(SystemExit):
        lessons.read_command_line(lessons.ImageSettings, ["--data", "shapes"])
