"""A picture is written whole or not at all, and the same picture gives the same file."""

import itertools

import pytest
from matplotlib.figure import Figure

from minigen import plots

from .test_style import PICTURES

OPENINGS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def picture():
    figure = Figure()
    figure.subplots().plot([0, 1], [1, 0], label="a line")
    return figure


@pytest.mark.parametrize("suffix", OPENINGS)
def test_the_suffix_chooses_the_format_and_the_bytes_are_reproducible(suffix, tmp_path):
    first, second = tmp_path / f"first.{suffix}", tmp_path / "new" / "folder" / f"second.{suffix.upper()}"
    plots.save(picture(), first)
    plots.save(picture(), second)
    assert first.read_bytes().startswith(OPENINGS[suffix])
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, tmp_path / "new"]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "suffix"), list(zip(PICTURES, itertools.cycle(OPENINGS), strict=False)))
def test_every_picture_can_be_written_and_again_with_the_same_bytes(make, suffix, tmp_path):
    figure = make()
    for path, drawn in (("first", figure), ("again", figure), ("another", make())):
        plots.save(drawn, tmp_path / f"{path}.{suffix}")
    first = (tmp_path / f"first.{suffix}").read_bytes()
    assert first.startswith(OPENINGS[suffix])
    assert first == (tmp_path / f"again.{suffix}").read_bytes() == (tmp_path / f"another.{suffix}").read_bytes()


def test_when_drawing_fails_the_file_keeps_what_it_held(tmp_path, monkeypatch):
    def fail_halfway(target, **_):
        target.write(b"\x89PN")
        raise OSError("no space left on device")

    path = tmp_path / "picture.png"
    path.write_bytes(b"the old picture")
    figure = picture()
    monkeypatch.setattr(figure, "savefig", fail_halfway)
    with pytest.raises(OSError, match="no space left"):
        plots.save(figure, path)
    assert path.read_bytes() == b"the old picture"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["picture.jpeg", "picture"])
def test_an_unknown_suffix_is_refused_before_anything_is_written(name, tmp_path):
    with pytest.raises(ValueError, match=r"a picture is written as \.png, \.svg, \.pdf"):
        plots.save(picture(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
