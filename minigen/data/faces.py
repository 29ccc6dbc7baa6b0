"""Small faces, drawn from factors that can be read back: for the arithmetic of latents, and for models that are told what to draw.

    glasses     without, with
    smile       five degrees, from a deep frown to a broad smile
    turn        to the left, to the front, to the right, as the viewer sees it
    hair_style  short, curly, long
    hair        black, brown, blond, red
    skin        light, tan, brown, dark

A face is painted from the back to the front, each part over what is there already.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.data.factored import SIDE, Array, Factored, Part, Variation, compose, coordinates, coverage

SKINS = {
    "light": (0.97, 0.82, 0.70),
    "tan": (0.86, 0.64, 0.44),
    "brown": (0.61, 0.40, 0.26),
    "dark": (0.37, 0.24, 0.17),
}
HAIRS = {
    "black": (0.11, 0.10, 0.12),
    "brown": (0.44, 0.26, 0.13),
    "blond": (0.93, 0.79, 0.36),
    "red": (0.80, 0.33, 0.10),
}
OTHER_COLOURS = ((0.80, 0.88, 0.95), (0.30, 0.45, 0.62), (0.97, 0.97, 0.97), (0.08, 0.08, 0.10), (0.70, 0.13, 0.15))
BACKGROUND, SHIRT, WHITE, INK, LIPS, SKIN, HAIR = range(7)  # the layers
BENDS = (
    -4.0,
    -2.0,
    0.0,
    2.0,
    4.0,
)  # pixels that the corners of the mouth lie above its middle, by the degree of the smile
LONG, BROAD = 2, 4  # a style of hair and a degree of the smile


class FaceFactors(NamedTuple):
    """The factors of N pictures, each (N,), whole numbers: indices into `FACES.values`."""

    glasses: NDArray[Any]
    smile: NDArray[Any]
    turn: NDArray[Any]
    hair_style: NDArray[Any]
    hair: NDArray[Any]
    skin: NDArray[Any]


class Faces(Factored[FaceFactors]):
    """The set of faces; there is one object of it, `FACES`.

    Example:
        >>> without = FaceFactors(*(np.array([value]) for value in (0, 4, 1, 2, 3, 0)))
        >>> FACES.draw(without).shape
        (1, 32, 32, 3)
        >>> FACES.read(FACES.draw(without._replace(glasses=np.array([1])))).factors.glasses
        array([1])
    """

    name = "faces"
    record = FaceFactors
    values = {
        "glasses": ("without glasses", "with glasses"),
        "smile": ("deep frown", "frown", "straight mouth", "smile", "broad smile"),
        "turn": ("left", "front", "right"),
        "hair_style": ("short", "curly", "long"),
        "hair": tuple(HAIRS),
        "skin": tuple(SKINS),
    }
    colour_factors = ("hair", "skin")
    grain = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.15)
    label = "glasses"

    def masks(self, factors: FaceFactors, variation: Variation) -> Array:
        """Return the masks of background, shirt, white, ink, lips, skin and hair, (n, 7, S, S)."""
        x, y = coordinates(np.full((len(factors.turn), 2), SIDE / 2), variation)  # from the middle of the head
        glasses, smile, turn, style = (values[:, None, None] for values in factors[:4])
        turn, worn = turn.astype(np.float32) - 1, glasses == 1  # turn is -1, 0 or 1
        parts: list[Part] = []

        def paint(layer: int, distance: Array, *, shade: float = 1.0, share: Any = 1) -> None:
            parts.append(Part(layer, coverage(distance) * share, shade))

        # Behind the head: hair, the neck and the shoulders.
        curls = 11.5 + np.float32(0.7) * np.sin(9 * np.arctan2(y + 3, x))
        hair = [_ellipse(x, y + 2.5, 8.9, 8.9), np.hypot(x, y + 3) - curls, _box(x, y - 2.5, 10.2, 13.5, radius=8.5)]
        paint(HAIR, np.choose(style, hair), shade=0.85)
        paint(SKIN, _box(x, y - 11, 3.4, 4.0, radius=2.0), shade=0.82)
        paint(SHIRT, _ellipse(x, y - 17.8, 11.5, 5.5))

        # The head: the ears, which long hair hides, the face and the hair over it. Of a turned head one ear is behind the face.
        for side in (-1, 1):
            behind = 2 * np.maximum(side * turn, 0)
            paint(SKIN, _ellipse(x + turn - side * (8.3 - behind), y - 0.5, 1.7, 2.3), shade=0.88, share=style != LONG)
        face = _ellipse(x, y, 8.0, 9.6)
        paint(SKIN, face)
        across = x - np.float32(2.4) * turn  # from the line between the eyes
        fringe = [y + 5.6 + across / 4, y + 4.8 + np.cos(2 * x) / 2, y + 6.8 - np.float32(0.07) * across**2]
        paint(HAIR, np.maximum(_ellipse(x, y + 0.4, 8.8, 9.9), np.choose(style, fringe)))

        # The eyes, the glasses and the nose.
        for side in (-1, 1):
            eye = across - side * (3.5 - np.maximum(side * turn, 0) / 2)
            paint(WHITE, _ellipse(eye, y + 0.9, 1.9, 1.5))
            paint(INK, np.hypot(eye - turn / 2, y + 0.9) - 1.05)
            lens = np.hypot(eye, y + 0.9) - 2.9
            paint(INK, lens, share=np.float32(0.3) * worn)
            paint(INK, abs(lens) - 0.65, share=worn)
        height = abs(y + 1.2) - 0.6
        temples, bridge = np.maximum(abs(x) - 8, 6 - abs(across)), abs(across) - 0.9
        paint(INK, np.maximum(height, np.minimum(temples, bridge)), share=worn)
        paint(SKIN, _ellipse(across - turn, y - 2.4, 1.0, 0.9), shade=0.78)

        # The mouth is a bent line, cut off where a turned face ends; a broad smile is open and shows teeth.
        across = x - np.float32(1.6) * turn
        bend = np.array(BENDS, np.float32)[smile]
        below = y - 5.3 - bend * (0.5 - (across / 4) ** 2)  # below the line, along which the slope is bend across / 8
        ends = np.maximum(abs(across) - 4, face)
        paint(WHITE, np.maximum(np.maximum(below, 4.8 - y), ends), share=smile == BROAD)
        paint(LIPS, np.maximum(abs(below) / np.hypot(1, bend * across / 8) - 0.75, ends))
        return compose(parts, layers=7)

    def colours(self, factors: FaceFactors) -> Array:
        """Return the colours of the seven layers, (n, 7, 3)."""
        skins, hairs = (np.array(list(table.values()), np.float32) for table in (SKINS, HAIRS))
        others = np.tile(np.array(OTHER_COLOURS, np.float32), (len(factors.skin), 1, 1))
        return np.concatenate([others, skins[factors.skin][:, None], hairs[factors.hair][:, None]], axis=1)


def _ellipse(x: Array, y: Array, a: float, b: float) -> Array:
    """Return about the signed distance to an ellipse of half-axes a and b; near its edge it is right to first order."""
    level = np.hypot(x / a, y / b)
    slope = np.hypot(x / a**2, y / b**2)
    return level * (level - 1) / np.maximum(slope, np.float32(1e-6))


def _box(x: Array, y: Array, a: float, b: float, radius: float) -> Array:
    """Return the signed distance to a box of half-sides a and b with rounded corners."""
    across, along = abs(x) - (a - radius), abs(y) - (b - radius)
    outside = np.hypot(np.maximum(across, 0), np.maximum(along, 0))
    return outside + np.minimum(np.maximum(across, along), 0) - radius


FACES = Faces()
