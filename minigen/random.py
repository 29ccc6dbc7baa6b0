"""Random numbers from an explicit generator whose whole state is two integers.

A counter-based generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") keeps no hidden state that
each number changes: block i of the stream is f(key, i), four 32-bit words, with f fixed (`kernels.philox`). To draw is
to evaluate f at the next blocks and to move the counter past them. So the state saves as two integers, restores
exactly, and gives the same words on every device; uniform numbers are then equal to the bit, normal ones to rounding.

A call that draws n numbers takes whole blocks: ceil(n / 4) where a number takes one word (float32, `bernoulli`),
ceil(n / 2) where it takes two (float64, `integers`, `permutation`, `categorical`). Calls never share a block.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minigen import kernels
from minigen.backend import Array, module_of
from minigen.guards import exclusive
from minigen.sizes import as_shape, whole_number

Shape: TypeAlias = int | tuple[int, ...]

_METHOD = "philox4x32-10"
_LIMIT = 2**64  # of the key and of the counter


class _Numbers(NamedTuple):
    """How the four words of a block become floats of one dtype."""

    per_block: int
    uniform: Callable[[Array], Array]  # [0, 1)
    open_uniform: Callable[[Array], Array]  # (0, 1): a logarithm may be taken
    normal: Callable[[Array], Array]


_NUMBERS = {
    "float32": _Numbers(4, kernels.uniform32, kernels.open_uniform32, kernels.normal32),
    "float64": _Numbers(2, kernels.uniform64, kernels.open_uniform64, kernels.normal64),
}


class Generator:
    """A stream of random numbers, chosen by a seed.

    It returns arrays, on its device; operations take them as they are. Generators of different seeds are independent,
    and nothing depends on global state. Threads may share one: each call has blocks of its own. A copied or unpickled
    generator continues from the same place.

    Args:
        seed: the key of the stream, in [0, 2^64).
        device: "cpu" or "gpu", where the arrays are made.

    Raises:
        ValueError: the seed is not a whole number in [0, 2^64), or the device is unknown.
        RuntimeError: the device is "gpu" and there is none.

    Example:
        >>> rng = Generator(0)
        >>> rng.normal((2, 3)).shape
        (2, 3)
        >>> rng
        Generator(0, device='cpu') at block 2
    """

    def __init__(self, seed: int, *, device: str = "cpu") -> None:
        self._key = whole_number("Generator", "seed", seed)
        if not 0 <= self._key < _LIMIT:
            raise ValueError(f"Generator: seed {seed} is outside [0, 2^64)")
        self._counter = 0
        self._xp = module_of(device)
        self.device = device

    def __repr__(self) -> str:
        return f"Generator({self._key}, device={self.device!r}) at block {self._counter}"

    # ------------------------------------------------------------------------------------------- state

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_xp"}  # pickle and copy take no modules

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._xp = module_of(self.device)

    def state(self) -> dict[str, int | str]:
        """Return the state as a dict of integers and a name; it holds on every device.

        Example:
            >>> Generator(7).state()
            {'generator': 'philox4x32-10', 'key': 7, 'counter': 0}
        """
        return {"generator": _METHOD, "key": self._key, "counter": self._counter}

    def load_state(self, state: dict[str, int | str]) -> None:
        """Continue exactly where the generator that gave `state` stood.

        Raises:
            ValueError: `state` is not what `state()` returns; the generator is then unchanged.

        Example:
            >>> rng = Generator(7)
            >>> state = rng.state()
            >>> first = rng.uniform(3)
            >>> rng.load_state(state)
            >>> bool((rng.uniform(3) == first).all())
            True
        """
        match state:
            case {"generator": method, "key": int(key), "counter": int(counter), **rest} if (
                (method, type(key), type(counter), rest) == (_METHOD, int, int, {})  # a bool would match int()
                and 0 <= key < _LIMIT
                and 0 <= counter < _LIMIT
            ):
                self._key, self._counter = key, counter
            case _:
                raise ValueError(
                    f"load_state: got {state!r}; expected 'generator': {_METHOD!r}, and integers 'key' and 'counter' "
                    f"in [0, 2^64)"
                )

    # ------------------------------------------------------------------------------- continuous numbers

    def uniform(self, shape: Shape = (), *, low: float = 0.0, high: float = 1.0, dtype: Any = "float32") -> Array:
        """Draw from the uniform distribution on [low, high).

        Args:
            shape: of the outcome.
            low: included.
            high: excluded, unless low + (high - low) u rounds up to it; with the defaults it never does.
            dtype: "float32" (multiples of 2^-24 before scaling) or "float64" (of 2^-53).

        Raises:
            ValueError: low >= high, a negative size, or another dtype.

        Example:
            >>> x = Generator(0).uniform(1000, low=-1.0, high=1.0)
            >>> bool((x >= -1).all() and (x < 1).all())
            True
        """
        if not low < high or math.isinf(high - low):
            raise ValueError(f"uniform: low = {low}, high = {high}; expected two finite numbers, low < high")
        numbers = _numbers(dtype, "uniform")
        u = self._draw(numbers.uniform, shape, numbers.per_block, "uniform")
        if (low, high) != (0.0, 1.0):
            u *= high - low
            u += low
        return u

    def normal(self, shape: Shape = (), *, mean: float = 0.0, scale: float = 1.0, dtype: Any = "float32") -> Array:
        """Draw from the normal distribution (Box & Muller 1958; see `kernels.normal32`).

        Args:
            shape: of the outcome.
            mean: mu.
            scale: the standard deviation sigma, not the variance.
            dtype: "float32" (values within 5.8 sigma) or "float64" (within 8.6 sigma).

        Raises:
            ValueError: scale <= 0, a negative size, or another dtype.

        Example:
            >>> x = Generator(0).normal(10_000, mean=3.0, scale=0.5)
            >>> bool(abs(x.mean() - 3.0) < 0.02)
            True
        """
        _check_scale(scale, "normal")
        numbers = _numbers(dtype, "normal")
        z = self._draw(numbers.normal, shape, numbers.per_block, "normal")
        if scale != 1.0:
            z *= scale
        if mean != 0.0:
            z += mean
        return z

    def exponential(self, shape: Shape = (), *, scale: float = 1.0, dtype: Any = "float32") -> Array:
        """Draw from the exponential distribution of mean `scale`, as -scale log(u): positive and finite, always.

        Raises:
            ValueError: scale <= 0, a negative size, or another dtype.

        Example:
            >>> bool((Generator(0).exponential(1000, scale=2.0) > 0).all())
            True
        """
        _check_scale(scale, "exponential")
        u = self._open_uniform(shape, dtype, "exponential")
        log_u = self._xp.log(u, out=u)
        log_u *= -scale
        return log_u

    def gumbel(self, shape: Shape = (), *, dtype: Any = "float32") -> Array:
        """Draw from the standard Gumbel distribution, as -log(-log(u)): finite, always.

        Raises:
            ValueError: a negative size, or another dtype.

        Example:
            >>> bool(np.isfinite(Generator(0).gumbel(1000)).all())
            True
        """
        xp = self._xp
        u = self._open_uniform(shape, dtype, "gumbel")
        for _ in range(2):
            xp.negative(xp.log(u, out=u), out=u)
        return u

    # --------------------------------------------------------------------------------- discrete numbers

    def integers(self, low: int, high: int, shape: Shape = ()) -> Array:
        """Draw whole numbers from [low, high), int64, all alike.

        They are low + floor(u (high - low)) with u of 53 bits. At the largest range, the probability of each is off by
        a share of at most 2^-21.

        Args:
            low: included.
            high: excluded, at most low + 2^32.
            shape: of the outcome.

        Raises:
            ValueError: low >= high, high - low > 2^32, bounds outside int64, or a negative size.

        Example:
            >>> rolls = Generator(0).integers(1, 7, 1000)
            >>> int(rolls.min()), int(rolls.max())
            (1, 6)
        """
        low, high = whole_number("integers", "low", low), whole_number("integers", "high", high)
        if not -(2**63) <= low < high <= 2**63 or high - low > 2**32:
            raise ValueError(
                f"integers: [{low}, {high}); expected low < high, high - low at most 2^32, both within int64"
            )
        u = self._draw(kernels.uniform64, shape, 2, "integers")
        u *= float(high - low)
        whole = u.astype("int64")
        whole += low
        return whole

    def bernoulli(self, probability: float | Array, shape: Shape | None = None) -> Array:
        """Draw 1 with the given probability, else 0.

        Args:
            probability: of a 1, in [0, 1]: a number, or an array on the generator's device. The check of an array waits
                for a GPU.
            shape: of the outcome, once broadcast with that of `probability`; None takes the latter's.

        Returns:
            float32 array of zeros and ones. The probability of a 1 is met to within 2^-24.

        Raises:
            ValueError: a probability is NaN or outside [0, 1], the shapes do not broadcast, or a negative size.

        Example:
            >>> Generator(0).bernoulli(np.array([0.0, 1.0]), (2, 2))
            array([[0., 1.],
                   [0., 1.]], dtype=float32)
        """
        if isinstance(probability, int | float):
            own_shape, lowest, highest = (), probability, probability
        elif probability.size:
            own_shape, lowest, highest = probability.shape, probability.min(), probability.max()  # NaN if one is
        else:
            own_shape, lowest, highest = probability.shape, 0, 0
        if not (lowest >= 0 and highest <= 1):
            raise ValueError(f"bernoulli: probabilities from {lowest} to {highest}; expected them in [0, 1]")
        asked = own_shape if shape is None else as_shape("bernoulli", shape)
        try:
            full = np.broadcast_shapes(asked, own_shape)
        except ValueError:
            raise ValueError(
                f"bernoulli: probability has shape {own_shape}, which does not broadcast with {asked}"
            ) from None
        u = self._draw(kernels.uniform32, full, 4, "bernoulli")
        return self._xp.asarray(u < probability, dtype="float32")

    def categorical(self, logits: Array, shape: Shape = ()) -> Array:
        """Draw categories by their unnormalized log-probabilities.

        The outcome is the first category whose cumulative probability exceeds a uniform number of 53 bits, in float64;
        one of logit -inf is never drawn.

        Args:
            logits: (*batch, K), K categories.
            shape: how many draws for each element of the batch, (*sample).

        Returns:
            int64 array (*sample, *batch) of indices in [0, K). The check of `logits` waits for a GPU.

        Raises:
            ValueError: there is no category, a logit is NaN or inf, all logits of an element are -inf, or a negative
                size.

        Example:
            >>> Generator(0).categorical(np.array([[-np.inf, 0.0], [0.0, -np.inf]]), 3)
            array([[1, 0],
                   [1, 0],
                   [1, 0]])
        """
        xp = self._xp
        if logits.ndim == 0 or logits.shape[-1] == 0:
            raise ValueError(f"categorical: logits have shape {logits.shape}; expected (*batch, K) with K >= 1")
        top = logits.max(axis=-1, keepdims=True)
        if not xp.isfinite(top).all():
            raise ValueError("categorical: a logit is NaN or inf, or all logits of an element are -inf")
        cumulative = xp.exp((logits - top).astype("float64")).cumsum(axis=-1)  # (*batch, K)
        draws = (*as_shape("categorical", shape), *logits.shape[:-1])
        u = self._draw(kernels.uniform64, draws, 2, "categorical")
        u *= cumulative[..., -1]
        return xp.asarray((cumulative <= u[..., None]).sum(axis=-1))

    def permutation(self, n: int) -> Array:
        """Draw an order of 0, ..., n - 1, each of the n! equally likely: the order that sorts n random 64-bit keys.

        Returns:
            int64 array (n,). Two keys are equal, and so their order fixed, with a probability below n^2 / 2^65.

        Raises:
            ValueError: n is not a whole number, or negative.

        Example:
            >>> sorted(Generator(0).permutation(5).tolist())
            [0, 1, 2, 3, 4]
        """
        n = whole_number("permutation", "n", n, least=0)
        keys = self._draw(lambda words: words.view("uint64"), n, 2, "permutation")
        return keys.argsort(kind="stable")

    # ----------------------------------------------------------------------------------- from the stream

    def _draw(self, kernel: Callable[[Array], Array], shape: Shape, per_block: int, method: str) -> Array:
        """Turn the next blocks of the stream into numbers by `kernel`, (blocks, 4) -> (blocks, per_block)."""
        sizes = as_shape(method, shape)
        n = math.prod(sizes)
        blocks = -(-n // per_block)
        with exclusive():  # no two threads may take the same blocks
            start = self._counter
            self._counter = (start + blocks) % _LIMIT
        words = kernels.philox(self._xp, key=self._key, counter=start, blocks=blocks)
        return kernel(words).reshape(-1)[:n].reshape(sizes)

    def _open_uniform(self, shape: Shape, dtype: Any, method: str) -> Array:
        numbers = _numbers(dtype, method)
        return self._draw(numbers.open_uniform, shape, numbers.per_block, method)


def _numbers(dtype: Any, method: str) -> _Numbers:
    try:
        return _NUMBERS[dtype if isinstance(dtype, str) else np.dtype(dtype).name]
    except (KeyError, TypeError):
        raise ValueError(f"{method}: dtype {dtype!r}; expected 'float32' or 'float64'") from None


def _check_scale(scale: float, method: str) -> None:
    if not 0 < scale < math.inf:
        raise ValueError(f"{method}: scale is {scale}, expected a positive number")
