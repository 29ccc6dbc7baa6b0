"""Emoji: some 1,900 coloured pictures of 64 x 64 pixels with English names, in nine categories.

The pictures are those of Noto Emoji by Google, licence Apache-2.0, as the npm package emoji-datasource-google holds them.
minigen neither carries nor downloads them. They are read from a folder into which this package was unpacked, so that `emoji.json` and
`img/google/64/` lie in it:

    the argument `folder`       the folder itself
    $MINIGEN_DATA/emoji         if the variable is set
    ~/.cache/minigen/emoji      otherwise

Skin tones are left out: of an emoji that has several there is the yellow one alone, and the swatches of the tones are missing.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from minigen.data.images import Images

SIDE = 64
PICTURES = Path("img", "google", "64")
SWATCHES = "Component"  # the category of what is not an emoji by itself


class Emoji(NamedTuple):
    """N emoji.

    Attributes:
        images: the pictures on white with their categories as classes, (N, 64, 64, 3).
        names: their English names, such as "grinning face", N of them.
    """

    images: Images
    names: list[str]


def load_emoji(*, folder: str | os.PathLike[str] | None = None) -> Emoji:
    """Load the emoji from a folder; the module says what must lie in it.

    Args:
        folder: with `emoji.json` and `img/google/64/`; None takes `MINIGEN_DATA` or the cache.

    Returns:
        The images, of 256 levels, and the names, in the order of `emoji.json`.

    Raises:
        FileNotFoundError: the folder or a file in it is missing; the message says what to get and where to put it.
        ValueError: a file is damaged or does not hold what is expected.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:  # one transparent picture in place of 1,900
        ...     entry = {"name": "FOG", "image": "1f32b.png", "category": "Travel & Places", "has_img_google": True}
        ...     _ = Path(folder, "emoji.json").write_text(json.dumps([entry]))
        ...     Path(folder, PICTURES).mkdir(parents=True)
        ...     Image.new("RGBA", (64, 64)).save(Path(folder, PICTURES, "1f32b.png"))
        ...     images, names = load_emoji(folder=folder)
        >>> names, images.images.shape, images.classes, int(images.images.min())
        (['fog'], (1, 64, 64, 3), ('Travel & Places',), 255)
    """
    root = Path(os.environ.get("MINIGEN_DATA") or "~/.cache/minigen").expanduser()
    place = root / "emoji" if folder is None else Path(folder)
    entries = _entries(place)
    classes = tuple(sorted({entry["category"] for entry in entries}))
    images = np.stack([_picture(place / PICTURES / entry["image"], place) for entry in entries])
    labels = np.array([classes.index(entry["category"]) for entry in entries], np.int64)
    return Emoji(Images("emoji", images, labels, classes, levels=256), [entry["name"].lower() for entry in entries])


def _entries(place: Path) -> list[dict[str, Any]]:
    """Return the entries of `emoji.json` whose pictures are there."""
    path = place / "emoji.json"
    if not path.is_file():
        raise _missing(path, place)
    try:
        entries = [entry for entry in json.loads(path.read_text(encoding="utf-8")) if entry["has_img_google"]]
        chosen = [entry for entry in entries if entry["category"] != SWATCHES]
        sound = all(isinstance(entry[key], str) for entry in chosen for key in ("name", "image", "category"))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"load_emoji: {path} is not the list of the package: {type(error).__name__}: {error}"
        ) from None
    if not (chosen and sound):
        raise ValueError(f"load_emoji: {path} names no emoji, or lacks the name, image or category of one")
    return chosen


def _picture(path: Path, place: Path) -> NDArray[np.uint8]:
    """Return a picture, (64, 64, 3); where it is transparent, white shows through."""
    try:
        with Image.open(path) as file:
            picture = file.convert("RGBA")
    except FileNotFoundError:
        raise _missing(path, place) from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"load_emoji: {path} cannot be read as a picture: {error}") from None
    if picture.size != (SIDE, SIDE):
        raise ValueError(f"load_emoji: {path} has {picture.width} x {picture.height} pixels, expected {SIDE} x {SIDE}")
    paper = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(paper, picture).convert("RGB"))


def _missing(path: Path, place: Path) -> FileNotFoundError:
    return FileNotFoundError(
        f"load_emoji: {path} is missing; get the npm package emoji-datasource-google and unpack it so that emoji.json and "
        f"{PICTURES.as_posix()}/ lie in {place}, or name another folder: load_emoji(folder=...)"
    )
