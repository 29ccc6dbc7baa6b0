"""Pictures that are drawn from factors and from which the factors can be read back.

With such pictures it can be measured, without any trained network, whether a model drew what it was told to draw.
A picture x is a sum of layers, each of them a mask times one colour:

    x = sum_l m_l c_l          m_l (S, S) depends on the factors of form, c_l (3,) on the factors of colour

To read a picture is to find the nearest plain picture q, over all combinations of factors and nine variations in place and size of each.
Since q = sum_l m_l c_l as well, only its masks are drawn, once for all colours:

    |x - q|^2 = |x|^2 - 2 sum_l <x, m_l> . c_l + sum_l sum_k <m_l, m_k> (c_l . c_k)
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from itertools import product
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from minigen.data.images import Images
from minigen.random import Generator

SIDE = 32  # S, of every picture
# How far pictures vary at most:
SHIFT = 0.5  # down or to the right, pixels
STRETCH = 0.03  # in size, a share of it
TILT = 0.03  # radians
SHADE = 0.03  # in each channel of the colours, which are in [0, 1]
SIZES = {"train": 5000, "test": 1000, "unseen": 1000}  # pictures of a split
HELD_OUT = 8  # one combination in so many is for the split "unseen" alone
AT_ONCE = 128  # pictures that are drawn or read together

Array = NDArray[np.floating]  # of float32
F = TypeVar("F", bound=tuple[Any, ...])


class Variation(NamedTuple):
    """In what n pictures of the same factors differ.

    Attributes:
        shift: (n, 2), pixels down and to the right.
        stretch: (n,), the factor of the size.
        tilt: (n,), radians, clockwise.
        shade: (n, L, 3), added to the colours of the layers.
        noise: (n, S, S), in [-1, 1], multiplied into the layers that have a grain.
    """

    shift: Array
    stretch: Array
    tilt: Array
    shade: Array
    noise: Array


class Reading(NamedTuple, Generic[F]):
    """What was read from n pictures.

    Attributes:
        factors: each of them (n,).
        distance: (n,), float32, from the picture to the nearest plain one: the root of the mean squared difference of pixels in [0, 1].
            A value far above that of true pictures says that the picture could not be read well.
    """

    factors: F
    distance: Array


class Factored(ABC, Generic[F]):
    """A set of pictures, (S, S, 3), that are made from factors.

    A factor is a whole number, an index into the names of its values. Of the same factors there are many pictures, which differ a little in
    place, size, tilt and shade; one of them is the plain picture, without any of these differences.

    Attributes:
        name: a word for titles and file names.
        record: makes the named tuple of factors from arrays (N,), one for each factor.
        values: the names of the values of each factor, in the order of the record.
        colour_factors: the names of those factors on which the colours depend, and nothing else.
        grain: (L,), how much noise each layer has, as a share of its light.
        label: the factor whose values are the classes.
    """

    name: str
    record: Callable[..., F]
    values: Mapping[str, tuple[str, ...]]
    colour_factors: tuple[str, ...]
    grain: tuple[float, ...]
    label: str

    @abstractmethod
    def masks(self, factors: F, variation: Variation) -> Array:
        """Return the masks of n pictures, (n, L, S, S), whatever the factors of colour are."""

    @abstractmethod
    def colours(self, factors: F) -> Array:
        """Return the colours of the layers of n pictures, (n, L, 3), in [0, 1], whatever the factors of form are."""

    # -------------------------------------------------------------------------------------------------------------------- factors

    def all_factors(self) -> F:
        """Return every combination of the factors once; the last factor changes fastest.

        Example:
            >>> from minigen.data.shapes import SHAPES
            >>> len(SHAPES.all_factors().shape)
            2592
        """
        return self._combinations(self.values)

    def random_factors(self, n: int, *, rng: Generator) -> F:
        """Draw n combinations of factors; all are equally likely.

        Args:
            n: how many.
            rng: draws them, on the CPU.

        Example:
            >>> from minigen.data.faces import FACES
            >>> FACES.random_factors(4, rng=Generator(0)).smile.shape
            (4,)
        """
        return self.record(*(rng.integers(0, len(names), n) for names in self.values.values()))

    def factors(self, split: str) -> F:
        """Return the factors of the pictures that `load` draws, in their order; a split is always the same.

        Args:
            split: "train"; "test", other pictures of the same combinations; or "unseen", those of combinations that are in neither of them,
                an eighth of all.

        Raises:
            ValueError: another split.

        Example:
            >>> from minigen.data.shapes import SHAPES
            >>> SHAPES.captions(SHAPES.factors("train"))[0]
            'a large green cross at the bottom right on grey'
        """
        if split not in SIZES:
            raise ValueError(f"{self.name}: split is {split!r}, expected one of {', '.join(map(repr, SIZES))}")
        every = self.all_factors()
        order = Generator(0).permutation(len(every[0]))
        unseen = len(order) // HELD_OUT
        combinations = order[:unseen] if split == "unseen" else order[unseen:]
        rng = Generator(1 + list(SIZES).index(split))
        chosen = combinations[rng.integers(0, len(combinations), SIZES[split])]
        return self.record(*(values[chosen] for values in every))

    # ------------------------------------------------------------------------------------------------------------------- pictures

    def load(self, split: str) -> Images:
        """Draw the pictures of a split, varied, with the values of the factor `label` as their classes.

        Args:
            split: see `factors`.

        Returns:
            Images (N, S, S, 3) of 256 levels; N is 5,000 for "train", else 1,000.

        Raises:
            ValueError: another split.

        Example:
            >>> from minigen.data.faces import FACES
            >>> test = FACES.load("test")
            >>> test.images.shape, test.classes
            ((1000, 32, 32, 3), ('without glasses', 'with glasses'))
        """
        factors = self.factors(split)
        images = self.draw(factors, rng=Generator(101 + list(SIZES).index(split)))
        place = list(self.values).index(self.label)
        return Images(self.name, images, factors[place], self.values[self.label], levels=256)

    def draw(self, factors: F, *, rng: Generator | None = None) -> NDArray[np.uint8]:
        """Draw a picture for each combination of factors.

        Args:
            factors: each (N,), whole numbers.
            rng: on the CPU; varies the pictures. None draws the plain ones, which are always the same.

        Returns:
            (N, S, S, 3), uint8.

        Raises:
            ValueError: factors of other shapes, or values that a factor does not have.

        Example:
            >>> from minigen.data.shapes import SHAPES
            >>> SHAPES.draw(SHAPES.random_factors(5, rng=Generator(0)), rng=Generator(1)).shape
            (5, 32, 32, 3)
        """
        factors = self._checked(factors)
        n, layers = len(factors[0]), len(self.grain)
        variation = plain(n, layers) if rng is None else _varied(n, layers, rng)
        images = np.empty((n, SIDE, SIDE, 3), np.uint8)
        for start in range(0, n, AT_ONCE):
            part = slice(start, start + AT_ONCE)
            some, change = self.record(*(values[part] for values in factors)), Variation(*(v[part] for v in variation))
            masks = self.masks(some, change)
            for layer, grain in enumerate(self.grain):
                if grain:
                    masks[:, layer] *= 1 + np.float32(grain) * change.noise
            light = _picture(masks, self.colours(some) + change.shade)
            images[part] = np.rint(255 * np.clip(light, 0, 1)).reshape(-1, SIDE, SIDE, 3)
        return images

    def read(self, images: NDArray[Any]) -> Reading[F]:
        """Read the factors of pictures: those of the nearest plain picture, over all combinations.

        What `draw` drew is read without error, even where each variation is at its end. A generated picture may be noisy or blurred, or be
        no such picture at all; for each some combination is nearest, and the distance says how near. With independent noise of standard
        deviation 0.1 at each pixel, one smile in a thousand is misread. After a blur over 3 x 3 pixels it is one smile in nine, nearly
        always by one degree, one skin in 36 and one shape in 13. Pictures are read 128 at a time, so many of them need no more memory.

        Args:
            images: (N, S, S, 3): uint8, or floats in [0, 1].

        Returns:
            The factors and the distances.

        Raises:
            ValueError: another shape, or pixels that are not in [0, 1].

        Example:
            >>> from minigen.data.faces import FACES
            >>> told = FACES.random_factors(3, rng=Generator(0))
            >>> found, distance = FACES.read(FACES.draw(told, rng=Generator(1)))
            >>> all(np.array_equal(a, b) for a, b in zip(found, told)), bool(distance.max() < 0.1)
            (True, True)
        """
        if images.ndim != 4 or images.shape[1:] != (SIDE, SIDE, 3):
            raise ValueError(f"read: images of shape {images.shape}, expected (N, {SIDE}, {SIDE}, 3)")
        if images.dtype != np.uint8 and images.size and not (images.min() >= 0 and images.max() <= 1):
            raise ValueError(f"read: pixels from {images.min()} to {images.max()}, expected floats in [0, 1], or uint8")
        forms, masks, palettes, colours = self._plain_pictures
        layers = masks.shape[1]
        overlaps = masks @ masks.transpose(0, 2, 1)  # (K, L, L)
        shades = colours @ colours.transpose(0, 2, 1)  # (P, L, L)
        squares = overlaps.reshape(-1, layers**2) @ shades.reshape(-1, layers**2).T  # (K, P), |q|^2
        doubled = 2 * colours.reshape(-1, layers * 3).T  # (L*3, P)
        form, palette = np.empty(len(images), np.int64), np.empty(len(images), np.int64)
        distance = np.empty(len(images), np.float32)
        for start in range(0, len(images), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            some = images[part].reshape(-1, SIDE**2, 3)
            x = some.astype(np.float32) / np.float32(255 if some.dtype == np.uint8 else 1)
            columns = x.transpose(1, 0, 2).reshape(SIDE**2, -1)  # (S*S, n*3)
            products = (masks.reshape(-1, SIDE**2) @ columns).reshape(-1, layers, len(x), 3)  # <x, m_l>
            rows = products.transpose(2, 0, 1, 3).reshape(-1, layers * 3)  # (n*K, L*3)
            away = (rows @ doubled).reshape(len(x), *squares.shape)  # (n, K, P), 2 <x, q>
            nearest = np.subtract(squares, away, out=away).reshape(len(x), -1).argmin(axis=1)
            form[part], palette[part] = np.unravel_index(nearest, squares.shape)
            difference = x - _picture(masks[form[part]], colours[palette[part]])
            distance[part] = np.sqrt(np.square(difference).mean(axis=(1, 2)))
        # A factor of form is 0 in every palette, and a factor of colour is 0 in every form.
        return Reading(self.record(*(f[form] + p[palette] for f, p in zip(forms, palettes, strict=True))), distance)

    # -------------------------------------------------------------------------------------------------------------------- helpers

    @cached_property
    def _plain_pictures(self) -> tuple[F, Array, F, Array]:
        """The factors of K forms, nine of each, their masks (K, L, S*S), those of P palettes, and their colours (P, L, 3)."""
        palettes = self._combinations(self.colour_factors)
        forms = self._combinations(set(self.values) - set(self.colour_factors))
        # Pictures are looked for where they would be without variation, and halfway to the ends of shift and size: eight corners.
        ends = np.array([(0, 0, 0), *product((-0.5, 0.5), repeat=3)]) * (SHIFT, SHIFT, STRETCH)  # (9, 3)
        changes = np.tile(ends, (len(forms[0]), 1)).astype(np.float32)
        forms = self.record(*(np.repeat(values, len(ends)) for values in forms))
        unchanged = plain(len(changes), len(self.grain))
        variation = unchanged._replace(shift=changes[:, :2], stretch=1 + changes[:, 2])
        masks = self.masks(forms, variation).reshape(len(forms[0]), len(self.grain), SIDE**2)
        return forms, masks, palettes, self.colours(palettes)

    def _combinations(self, varied: Collection[str]) -> F:
        """Return all combinations of some factors; the others are 0."""
        counts = [len(names) if factor in varied else 1 for factor, names in self.values.items()]
        return self.record(*np.indices(counts).reshape(len(counts), -1))

    def _checked(self, factors: F) -> F:
        arrays = [np.asarray(values) for values in factors]
        shapes = {array.shape for array in arrays}
        if len(arrays) != len(self.values) or len(shapes) != 1 or arrays[0].ndim != 1:
            raise ValueError(
                f"draw: factors of shapes {[a.shape for a in arrays]}, expected {len(self.values)} of (N,)"
            )
        for (factor, names), array in zip(self.values.items(), arrays, strict=True):
            if not np.issubdtype(array.dtype, np.integer):
                raise ValueError(f"draw: {factor} has type {array.dtype}, expected whole numbers")
            if array.size and not (array.min() >= 0 and array.max() < len(names)):
                raise ValueError(f"draw: {factor} from {array.min()} to {array.max()}, expected 0 to {len(names) - 1}")
        return self.record(*arrays)


def plain(n: int, layers: int) -> Variation:
    """Return no variation, for n pictures of so many layers.

    Example:
        >>> plain(3, 2).stretch
        array([1., 1., 1.], dtype=float32)
    """
    sizes = {"shift": (n, 2), "stretch": (n,), "tilt": (n,), "shade": (n, layers, 3), "noise": (n, SIDE, SIDE)}
    zero = Variation(**{name: np.zeros(size, np.float32) for name, size in sizes.items()})
    return zero._replace(stretch=zero.stretch + 1)


def _varied(n: int, layers: int, rng: Generator) -> Variation:
    return Variation(
        shift=rng.uniform((n, 2), low=-SHIFT, high=SHIFT),
        stretch=rng.uniform(n, low=1 - STRETCH, high=1 + STRETCH),
        tilt=rng.uniform(n, low=-TILT, high=TILT),
        shade=rng.uniform((n, layers, 3), low=-SHADE, high=SHADE),
        noise=rng.uniform((n, SIDE, SIDE), low=-1.0, high=1.0),
    )


def _picture(masks: Array, colours: Array) -> Array:
    """Return the sum of masks (n, L, ...) times colours (n, L, 3) at the S*S pixels: (n, S*S, 3)."""
    n, layers = masks.shape[:2]
    return masks.reshape(n, layers, SIDE**2).transpose(0, 2, 1) @ colours


# ----------------------------------------------------------------------------------------------------------- drawing with soft edges


def coordinates(centre: NDArray[Any], variation: Variation) -> tuple[Array, Array]:
    """Return where the pixels are, seen from the middle of a figure that is shifted, stretched and tilted.

    Args:
        centre: (n, 2), the middle of the figure before the shift, in pixels from the top left corner, down and to the right.
        variation: of n pictures.

    Returns:
        How far each pixel lies to the right and how far down, (n, S, S) each, in pixels of the figure before it was stretched.

    Example:
        >>> right, down = coordinates(np.array([[16.0, 16.0]]), plain(1, 1))
        >>> right[0, 0, :3], down[0, :3, 0]
        (array([-15.5, -14.5, -13.5], dtype=float32), array([-15.5, -14.5, -13.5], dtype=float32))
    """
    pixels = np.arange(SIDE, dtype=np.float32) + np.float32(0.5)
    middle = (centre + variation.shift).astype(np.float32)
    down = (pixels - middle[:, :1])[:, :, None]  # (n, S, 1)
    right = (pixels - middle[:, 1:])[:, None, :]  # (n, 1, S)
    cosine, sine = ((f(variation.tilt) / variation.stretch)[:, None, None] for f in (np.cos, np.sin))
    return cosine * right + sine * down, cosine * down - sine * right


def coverage(distance: Array) -> Array:
    """Return how much of a pixel a figure covers, given the signed distance to its edge in pixels: inside it is negative.

    The edge is softened over one pixel.

    Example:
        >>> coverage(np.array([-2.0, -0.25, 0.0, 0.25, 2.0]))
        array([1.  , 0.75, 0.5 , 0.25, 0.  ])
    """
    return np.clip(0.5 - distance, 0, 1)


class Part(NamedTuple):
    """A part of a picture, for `compose`: the layer whose colour it has, and how much of each pixel it covers, (n, S, S), from 0 to 1.

    `shade` is its light: 1 for the colour itself, less for a darker one.
    """

    layer: int
    cover: Array
    shade: float = 1.0


def compose(parts: list[Part], *, layers: int) -> Array:
    """Return the masks of n pictures whose parts are painted one over the other on a ground of the first layer.

    Args:
        parts: from the back to the front, at least one.
        layers: L.

    Returns:
        (n, L, S, S).

    Example:
        >>> back, front = np.full((1, 1, 1), 1.0, np.float32), np.full((1, 1, 1), 0.75, np.float32)
        >>> compose([Part(1, back), Part(2, front)], layers=3).ravel()
        array([0.  , 0.25, 0.75], dtype=float32)
    """
    n, height, width = parts[0].cover.shape
    masks = np.zeros((n, layers, height, width), np.float32)
    uncovered = np.ones((n, height, width), np.float32)
    for part in reversed(parts):  # what is in front hides what is behind
        masks[:, part.layer] += part.shade * uncovered * part.cover
        uncovered *= 1 - part.cover
    masks[:, 0] += uncovered
    return masks
