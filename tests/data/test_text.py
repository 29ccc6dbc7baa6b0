"""Texts: numbers and back, files in the wild, and streams that lose no character between two pieces."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.data import Text, TextStreams, load_shakespeare, passage_of, read_text, text_windows
from minigen.random import Generator

# ------------------------------------------------------------------------------------------------------------- vocabulary


@given(st.text("aB0 \n\tß漢😀'", min_size=2, max_size=50).filter(lambda content: len(set(content)) > 1))
def test_a_text_comes_back_and_its_vocabulary_is_sorted(content):
    text = Text(content)
    assert list(text.vocabulary) == sorted(set(content))
    assert text.decode(text.characters) == content
    assert text.characters.dtype == np.int64
    assert len(text) == len(content)


def test_unseen_characters_are_named_with_their_place():
    text = Text("to be\nor not", name="play")
    with pytest.raises(
        ValueError, match=r"'!', 'Q', 'Z' are not in the vocabulary of play; the first is 'Z', at place 6 \(line 2\)"
    ):
        text.encode("to be\nZoQ!Z")
    with pytest.raises(ValueError, match="'x' is not in the vocabulary"):
        text.encode("x")
    with pytest.raises(ValueError, match="and 16 others are not"):
        text.encode("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert text.encode("").shape == (0,)


def test_numbers_that_are_no_characters_are_refused():
    for bad, first in (([0, 3], "3"), ([-1], "-1"), ([0.0, 0.5], r"0\.5"), ([1.0, np.nan], "nan")):
        with pytest.raises(
            ValueError, match=f"1 of .* numbers are not places .*, the first is {first}; .* from 0 to 2"
        ):
            Text("abc", name="song").decode(np.array(bad))


def test_whole_numbers_of_any_kind_are_decoded():
    for dtype in ("float32", "uint8", "int64"):
        assert Text("abc").decode(np.array([2, 0, 1], dtype)) == "cab"
    assert Text("abc").decode([]) == ""


@pytest.mark.parametrize(("content", "words"), [("", "is empty"), ("aaa", "consists of 'a' alone")])
def test_a_text_needs_two_different_characters(content, words):
    with pytest.raises(ValueError, match=words):
        Text(content)


def test_the_end_is_for_testing():
    text = Text("abcdefghij" * 10)
    training, test = text.split(test_share=0.25)
    assert len(test) == 25
    np.testing.assert_array_equal(np.concatenate([training, test]), text.characters)
    for share in (0.0, 1.0, -1):
        with pytest.raises(ValueError, match="expected a share between 0 and 1"):
            text.split(test_share=share)
    with pytest.raises(ValueError, match="2 characters are too few"):
        Text("ab").split(test_share=0.1)


def test_shakespeare_is_whole_speeches():
    text = load_shakespeare()
    content = text.decode(text.characters)
    assert 95_000 < len(content) < 100_000
    speeches = content.strip().split("\n\n")
    assert all(re.match(r"[A-Z][\w ',&]*:", speech) for speech in speeches)
    assert content.endswith("?\n")


# ------------------------------------------------------------------------------------------------------------------ files


def test_files_of_any_system_are_read(tmp_path):
    path = tmp_path / "ö.txt"
    for raw in ("Öl\nund Brot\n".encode(), "\ufeffÖl\r\nund Brot\r\n".encode()):
        path.write_bytes(raw)
        text = read_text(path)
        assert text.decode(text.characters) == "Öl\nund Brot\n"
        assert text.name == "ö.txt"


def test_what_is_no_text_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        read_text(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_text(tmp_path / "none.txt")
    path = tmp_path / "latin.txt"
    path.write_bytes("Brot und Öl".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin.txt is not text in UTF-8: .* at byte 9"):
        read_text(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"latin.txt is empty"):
        read_text(path)


# ---------------------------------------------------------------------------------------------------------------- streams


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 70), st.integers(0, 99))
def test_every_row_goes_on_where_it_ended(streams, length, more, seed):
    text = np.arange(streams * length + more)
    batches = TextStreams(text, streams=streams, length=length, rng=Generator(seed))
    pieces = len(text) // (streams * length)
    for _ in range(2):  # epochs
        found = [next(batches) for _ in range(pieces)]
        assert [begins for _, begins in found] == [True] + [False] * (pieces - 1)
        rows = np.concatenate([piece for piece, _ in found], axis=1)
        # All rows, one after the other, are one stretch of the text: no character is lost or read twice.
        np.testing.assert_array_equal(rows.ravel(), rows[0, 0] + np.arange(rows.size))
        assert len(text) - rows.size < streams * length
        assert rows[0, 0] + rows.size <= len(text)


def test_the_streams_begin_elsewhere_each_time():
    batches = TextStreams(np.arange(19), streams=2, length=5, rng=Generator(0))
    starts = {int(next(batches)[0][0, 0]) for _ in range(100)}
    assert starts == set(range(10))


def test_a_piece_is_a_copy():
    text = np.arange(20)
    next(TextStreams(text, streams=2, length=5, rng=Generator(0)))[0][:] = -1
    np.testing.assert_array_equal(text, np.arange(20))


@pytest.mark.parametrize("taken", [0, 1, 3, 4, 9])
def test_a_restored_state_goes_on_with_the_same_pieces(taken):
    text, rng = np.arange(47), Generator(0)
    batches = TextStreams(text, streams=2, length=5, rng=rng)
    for _ in range(taken):
        next(batches)
    state, noise = batches.state(), rng.state()
    expected = [next(batches) for _ in range(9)]
    other_rng = Generator(99)
    other = TextStreams(text, streams=2, length=5, rng=other_rng)
    other.load_state(state)
    other_rng.load_state(noise)
    for piece, begins in expected:
        found, found_begins = next(other)
        np.testing.assert_array_equal(found, piece)
        assert found_begins == begins


def test_states_of_another_text_and_texts_too_short_are_refused():
    batches = TextStreams(np.arange(20), streams=2, length=5, rng=Generator(0))
    for state in ({"start": 1, "piece": 0}, {"start": 0, "piece": 3}):
        with pytest.raises(ValueError, match="saved for another text"):
            batches.load_state(state)
    with pytest.raises(ValueError, match=r"need a text \(L,\) of at least 21; it is \(20,\)"):
        TextStreams(np.arange(20), streams=3, length=7, rng=Generator(0))
    with pytest.raises(ValueError, match=r"it is \(2, 20\)"):
        TextStreams(np.zeros((2, 20), int), streams=1, length=1, rng=Generator(0))


def test_windows_are_all_stretches():
    windows = text_windows(np.arange(9), length=4)
    np.testing.assert_array_equal(windows, np.arange(6)[:, None] + np.arange(4))
    for length in (0, 10):
        with pytest.raises(ValueError, match="does not fit a text of 9 characters"):
            text_windows(np.arange(9), length=length)


# ---------------------------------------------------------------------- passages


def text_of(length, *, blank=(), lines=()):
    """Letters with a blank line before some places, and an end of a line before others."""
    letters = ["x"] * length
    for place in blank:
        letters[place - 2 : place] = "\n\n"
    for place in lines:
        letters[place - 1] = "\n"
    return "".join(letters)


@pytest.mark.parametrize(
    ("content", "first", "end"),
    [
        (text_of(3000, blank=[900, 1600, 2000], lines=[1700, 2000]), 1600, 2000),  # after the first blank line, whole lines
        (text_of(3000, blank=[2520]), 2520, 3000),  # the last place that leaves enough
        (text_of(3000, blank=[2521]), 1500, 1980),  # too late
        (text_of(3000, blank=[3000]), 1500, 1980),
        (text_of(3000), 1500, 1980),
        (text_of(3000, lines=[1510]), 1500, 1980),  # a long line stays broken
        (text_of(700), 220, 700),
        (text_of(700, blank=[400]), 220, 700),
        (text_of(300, blank=[200, 300]), 0, 300),
    ],
)  # fmt: skip
def test_the_passage_begins_after_a_blank_line_that_enough_follows_or_in_the_middle_of_the_text(content, first, end):
    passage = passage_of(content, length=480)
    assert content[passage] == content[first:end]
    assert range(len(content))[passage] == range(first, end)
