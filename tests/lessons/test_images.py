"""Lessons about images: which images a run has learned, and files that are not there."""

import pytest

from minigen import lessons
from minigen.data import load_images


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
