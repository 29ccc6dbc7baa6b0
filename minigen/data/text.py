"""Texts as whole numbers: a vocabulary, the plays that the package carries, files of one's own, and pieces to train on.

A text is a sequence of characters of any kind: plays, programs, DNA. Its vocabulary is the characters that occur in it, sorted; character
k of the vocabulary is the number k.
"""

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minigen.guards import exclusive
from minigen.nn import check_whole
from minigen.random import Generator
from minigen.sizes import whole_number

Characters = NDArray[np.int64]


class Text:
    """A text and its vocabulary.

    Args:
        content: at least two different characters.
        name: what the text is, for titles.

    Attributes:
        characters: (T,), int64, the text as numbers.
        vocabulary: the K different characters in the order of their code points.
        name: as given.

    Raises:
        ValueError: the text is empty, or all of one character.

    Example:
        >>> text = Text("banana")
        >>> text.vocabulary, text.characters
        ('abn', array([1, 0, 2, 0, 2, 0]))
        >>> text.decode(text.encode("nab"))
        'nab'
    """

    def __init__(self, content: str, *, name: str = "text") -> None:
        self.vocabulary = "".join(sorted(set(content)))
        self.name = name
        if len(self.vocabulary) < 2:
            found = f"consists of {self.vocabulary!r} alone" if content else "is empty"
            raise ValueError(f"Text: {name} {found}; expected at least two different characters")
        self._numbers = {character: k for k, character in enumerate(self.vocabulary)}
        self.characters = self.encode(content)

    def __len__(self) -> int:
        return len(self.characters)

    def digest(self) -> str:
        """Return 16 digits that tell this text from any other.

        Example:
            >>> Text("banana").digest() == Text("banana").digest() != Text("bananas").digest()
            True
        """
        return hashlib.sha256(self.characters.tobytes() + self.vocabulary.encode()).hexdigest()[:16]

    def encode(self, content: str) -> Characters:
        """Return a text in the same vocabulary as numbers, (T,).

        Raises:
            ValueError: a character is not in the vocabulary; the message names all such, and where the first stands.
        """
        numbers = self._numbers
        if unseen := sorted(set(content) - numbers.keys()):
            place = min(map(content.index, unseen))
            line = content.count("\n", 0, place) + 1
            raise ValueError(
                f"Text.encode: {_listed(unseen)} not in the vocabulary of {self.name}; the first is {content[place]!r}, at place {place} "
                f"(line {line}). The vocabulary is {self.vocabulary!r}"
            )
        return np.array([numbers[character] for character in content], dtype=np.int64)

    def decode(self, characters: NDArray[np.number]) -> str:
        """Return whole numbers, (T,), as a text.

        Raises:
            ValueError: a number is none of the vocabulary's.
        """
        characters = np.asarray(characters)
        k = len(self.vocabulary)
        bad = (characters < 0) | (characters >= k) | (characters != np.floor(characters))
        if bad.any():
            raise ValueError(
                f"Text.decode: {bad.sum()} of {characters.size} numbers are not places in the vocabulary of {self.name}, the first is "
                f"{characters[bad][0]:g}; expected whole numbers from 0 to {k - 1}"
            )
        return "".join(map(self.vocabulary.__getitem__, characters.astype(np.int64).tolist()))

    def split(self, *, test_share: float = 0.1) -> tuple[Characters, Characters]:
        """Return the text's first part for training and its last part for testing: what is drawn at random would stand amid its answers.

        Args:
            test_share: of the characters, those at the end.

        Raises:
            ValueError: the share is outside (0, 1), or leaves a part without characters.
        """
        if not 0 < test_share < 1:
            raise ValueError(f"Text.split: test_share = {test_share}, expected a share between 0 and 1")
        training = len(self) - round(test_share * len(self))
        if not 0 < training < len(self):
            raise ValueError(
                f"Text.split: {len(self)} characters are too few to keep a share of {test_share} for testing"
            )
        return self.characters[:training], self.characters[training:]


def _listed(unseen: list[str]) -> str:
    shown = ", ".join(map(repr, unseen[:10])) + (f" and {len(unseen) - 10} others" if len(unseen) > 10 else "")
    return f"{shown} {'is' if len(unseen) == 1 else 'are'}"


def load_shakespeare() -> Text:
    """Load the first 100 kB of Coriolanus, which the package carries: speeches, each under its speaker's name.

    The play is in the public domain. The text is the beginning of "Tiny Shakespeare" (Karpathy 2015, "The unreasonable effectiveness of
    recurrent neural networks"), cut after a whole speech.

    Example:
        >>> text = load_shakespeare()
        >>> text.decode(text.characters[:14]), len(text.vocabulary)
        ('First Citizen:', 61)
    """
    content = (files("minigen.data") / "files" / "shakespeare.txt").read_text(encoding="utf-8")
    return Text(content, name="Shakespeare")


def read_text(path: str | Path) -> Text:
    """Read a text file in UTF-8; lines may end in any way, and then end in a newline.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the path is a folder; the file is not UTF-8, or holds fewer than two different characters.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "gene.txt"
        ...     _ = path.write_text("GATTACA")
        ...     read_text(path).vocabulary
        'ACGT'
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"read_text: {path} is a folder, expected a text file")
    if not path.is_file():
        raise FileNotFoundError(f"read_text: there is no file {path}")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"read_text: {path} is not text in UTF-8: {error.reason} at byte {error.start}") from error
    return Text(content, name=path.name)


class TextStreams(Iterator[tuple[Characters, bool]]):
    """Pieces of a long text for truncated backpropagation through time: N streams run through it side by side, T characters a step.

    The text is parted into N stretches of equal length. Row n of a piece goes on where row n of the piece before ended, so that a
    network's state after one piece is that before the next. When the stretches are at their ends, all begin again; the characters that
    are too few for another piece are left out at the text's two ends, each time differently shared.

    Args:
        characters: the text, (L,).
        streams: N.
        length: T.
        rng: a Generator on the CPU; one integer is drawn from it each time that the streams begin.

    Yields:
        The piece, (N, T), a copy; and whether the streams begin with it, so that no state is carried into it.

    Raises:
        ValueError: the text is shorter than one piece, N T.

    Example:
        >>> streams = TextStreams(np.arange(12), streams=2, length=3, rng=Generator(0))
        >>> for _ in range(3):
        ...     print(*next(streams))
        [[0 1 2]
         [6 7 8]] True
        [[ 3  4  5]
         [ 9 10 11]] False
        [[0 1 2]
         [6 7 8]] True
    """

    def __init__(self, characters: Characters, *, streams: int, length: int, rng: Generator) -> None:
        streams, length = whole_number("TextStreams", "streams", streams), whole_number("TextStreams", "length", length)
        if streams < 1 or length < 1 or characters.ndim != 1 or len(characters) < streams * length:
            raise ValueError(
                f"TextStreams: {streams} streams of {length} characters a step need a text (L,) of at least {streams * length}; it is "
                f"{characters.shape}. Take fewer streams, or shorter pieces"
            )
        self.characters, self.streams, self.length, self._rng = characters, streams, length, rng
        self.pieces = len(characters) // (streams * length)  # until the streams begin again
        self.load_state({"start": 0, "piece": self.pieces})  # as if the streams had just ended

    def __next__(self) -> tuple[Characters, bool]:
        stretch = self.pieces * self.length  # of one stream
        with exclusive():  # threads that share the streams never get the same piece
            if self._piece == self.pieces:
                spare = len(self.characters) - self.streams * stretch
                self.load_state({"start": int(self._rng.integers(0, spare + 1, ())), "piece": 0})
            start, first = self._start, self._piece * self.length
            self._piece += 1
        used = self.characters[start : start + self.streams * stretch].reshape(self.streams, stretch)
        return used[:, first : first + self.length].copy(), first == 0

    def state(self) -> dict[str, int]:
        """Return where the first stream began, and how many pieces came since; with `rng`'s state this resumes exactly."""
        return {"start": self._start, "piece": self._piece}

    def load_state(self, state: dict[str, int]) -> None:
        """Continue from a state that `state` returned for the same text, streams and length.

        Raises:
            ValueError: it lies outside the text.
        """
        spare = len(self.characters) - self.streams * self.pieces * self.length
        start, piece = (check_whole(state[name], f"TextStreams: {name}") for name in ("start", "piece"))
        if start > spare or piece > self.pieces:
            raise ValueError(
                f"TextStreams: the state is {state}, but the streams begin at 0 to {spare} and have {self.pieces} pieces; it was saved "
                "for another text"
            )
        self._start, self._piece = start, piece


def text_windows(characters: Characters, *, length: int) -> Characters:
    """Return all stretches of a text, (L,) -> (L - length + 1, length), as a view: `Batches` of it are pieces from anywhere.

    Raises:
        ValueError: the text is shorter.

    Example:
        >>> text_windows(np.arange(4), length=2)
        array([[0, 1],
               [1, 2],
               [2, 3]])
    """
    if not 1 <= length <= len(characters):
        raise ValueError(f"text_windows: length {length} does not fit a text of {len(characters)} characters")
    return np.lib.stride_tricks.sliding_window_view(characters, length)


def passage_of(content: str, *, length: int) -> slice:
    """Return where a passage from the middle of a text stands: after a blank line, with whole lines, if that is possible.

    Args:
        content: the text.
        length: characters of the passage at most; a shorter text is the passage.

    Example:
        >>> text = "first" * 25 + "\\n\\n" + "one line\\nand another\\n" * 5
        >>> text[passage_of(text, length=25)]
        'one line\\nand another\\n'
    """
    latest = max(0, len(content) - length)
    middle = min(len(content) // 2, latest)
    blank = content.find("\n\n", middle, latest)
    first = blank + 2 if blank >= 0 else middle
    end = content.rfind("\n", first + length // 2, first + length) + 1
    return slice(first, end or first + length)
