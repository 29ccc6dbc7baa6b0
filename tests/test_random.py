"""The generator: its stream and state, the distributions it draws from, and what it refuses.

The seeds are fixed, so no test can fail by chance; each would fail for a wrong distribution. A goodness-of-fit test passes above a p-value
of 1e-3, which a right generator misses for one seed in a thousand.
"""

import copy
import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import on_host
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minigen import kernels
from minigen.backend import device_of, module_of, to_device
from minigen.random import Generator

N = 40_000
LEVEL = 1e-3


def on(rng: Generator, array: np.ndarray) -> Any:
    """The array, on the generator's device."""
    return to_device(array, rng.device)


# --------------------------------------------------------------------------------------- stream and state

DRAWS: dict[str, tuple[Callable[[Generator, int], Any], int]] = {  # a draw of n numbers, and how many come of a block
    "uniform": (lambda rng, n: rng.uniform(n), 4),
    "uniform float64": (lambda rng, n: rng.uniform(n, dtype="float64"), 2),
    "normal": (lambda rng, n: rng.normal(n), 4),
    "normal float64": (lambda rng, n: rng.normal(n, dtype="float64"), 2),
    "exponential": (lambda rng, n: rng.exponential(n), 4),
    "gumbel": (lambda rng, n: rng.gumbel(n), 4),
    "bernoulli": (lambda rng, n: rng.bernoulli(0.5, n), 4),
    "integers": (lambda rng, n: rng.integers(0, 10**9, n), 2),
    "categorical": (lambda rng, n: rng.categorical(on(rng, np.zeros(1000)), n), 2),
    "permutation": (lambda rng, n: rng.permutation(n), 2),
}


def test_the_stream_is_philox_with_the_seed_as_key_from_block_0() -> None:
    words = kernels.philox(np, key=2**64 - 5, counter=0, blocks=3)
    np.testing.assert_array_equal(Generator(2**64 - 5).uniform(11), kernels.uniform32(words).ravel()[:11])


@pytest.mark.parametrize("name", DRAWS)
@given(n=st.integers(0, 30))
def test_a_call_takes_whole_blocks(name: str, n: int, device: str) -> None:
    draw, per_block = DRAWS[name]
    rng = Generator(1, device=device)
    assert len(draw(rng, n)) == n
    assert rng.state()["counter"] == math.ceil(n / per_block)


@pytest.mark.parametrize("name", DRAWS)
def test_consecutive_calls_do_not_overlap(name: str, device: str) -> None:
    draw, per_block = DRAWS[name]
    rng = Generator(2, device=device)
    first, second = (on_host(draw(rng, 6 * per_block)) for _ in range(2))
    whole = on_host(draw(Generator(2, device=device), 12 * per_block))
    if name != "permutation":  # which is no sequence of draws
        np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", DRAWS)
@given(n=st.integers(0, 30), seed=st.integers(0, 2**64 - 1), counter=st.integers(0, 2**64 - 1))
def test_a_gpu_draws_what_the_cpu_draws(name: str, n: int, seed: int, counter: int, gpu_or_double: str) -> None:
    here, there = Generator(seed), Generator(seed, device=gpu_or_double)
    for rng in (here, there):
        rng.load_state(here.state() | {"counter": counter})
    draw, _ = DRAWS[name]
    expected, obtained = draw(here, n), draw(there, n)
    assert (device_of(obtained), obtained.dtype) == (gpu_or_double, expected.dtype)
    if name.split()[0] in ("normal", "exponential", "gumbel"):  # to rounding
        bound = 1e-13 if "float64" in name else 1e-6
        np.testing.assert_allclose(on_host(obtained), expected, rtol=bound, atol=bound)
    else:
        np.testing.assert_array_equal(on_host(obtained), expected)
    assert there.state() == here.state()


@given(seed=st.integers(0, 2**64 - 1), n=st.integers(0, 20))
def test_a_restored_state_continues_the_stream(seed: int, n: int, device: str) -> None:
    def some(rng: Generator) -> list[list[float]]:
        return [rng.normal(5).tolist(), rng.integers(0, 100, 5).tolist(), rng.permutation(5).tolist()]

    rng = Generator(seed, device=device)
    rng.normal(n)
    saved = json.dumps(rng.state())  # as a checkpoint keeps it
    expected = some(rng)
    other = Generator(0, device=device)
    other.load_state(json.loads(saved))
    assert some(other) == expected
    assert other.state() == rng.state()


def test_different_seeds_give_unrelated_streams() -> None:
    draws = np.stack([Generator(seed).normal(N) for seed in (0, 1, 2**32, 2**63)])
    correlations = np.corrcoef(draws)[np.triu_indices(4, 1)]
    assert abs(correlations).max() < 5 / math.sqrt(N)


def test_repr_tells_the_place_in_the_stream() -> None:
    rng = Generator(5)
    rng.uniform(9)
    assert repr(rng) == "Generator(5, device='cpu') at block 3"


@pytest.mark.parametrize(
    "change",
    [
        {"counter": -1},
        {"counter": 2**64},
        {"key": 2**64},
        {"key": 1.0},
        {"key": "1"},
        {"generator": "pcg64"},
        {"more": 0},
    ],
)
def test_a_bad_state_is_refused_and_changes_nothing(change: dict[str, Any]) -> None:
    rng = Generator(5)
    rng.uniform(9)
    before = rng.state()
    with pytest.raises(ValueError, match=r"load_state: got .*expected 'generator': 'philox4x32-10'"):
        rng.load_state(before | change)
    with pytest.raises(ValueError, match="load_state"):
        rng.load_state({"generator": "philox4x32-10", "key": 5})
    assert rng.state() == before


# ------------------------------------------------------------------------------- continuous distributions

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


@dtypes
@pytest.mark.parametrize(
    ("draw", "distribution"),
    [
        (lambda rng, dtype: rng.uniform(N, dtype=dtype), stats.uniform()),
        (lambda rng, dtype: rng.uniform(N, low=-3.0, high=5.0, dtype=dtype), stats.uniform(-3, 8)),
        (lambda rng, dtype: rng.normal(N, dtype=dtype), stats.norm()),
        (lambda rng, dtype: rng.normal(N, mean=2.0, scale=0.1, dtype=dtype), stats.norm(2, 0.1)),
        (lambda rng, dtype: rng.exponential(N, dtype=dtype), stats.expon()),
        (lambda rng, dtype: rng.exponential(N, scale=4.0, dtype=dtype), stats.expon(scale=4)),
        (lambda rng, dtype: rng.gumbel(N, dtype=dtype), stats.gumbel_r()),
    ],
    ids=["uniform", "uniform scaled", "normal", "normal scaled", "exponential", "exponential scaled", "gumbel"],
)
def test_the_distribution_function_fits(
    draw: Callable[[Generator, str], Any], distribution: Any, dtype: str, device: str
) -> None:
    x = on_host(draw(Generator(6, device=device), dtype))
    assert x.dtype == dtype
    assert stats.kstest(x.astype("float64"), distribution.cdf).pvalue > LEVEL


@dtypes
def test_the_moments_of_a_million_normals(dtype: str) -> None:
    # The mean of z^k has the variance (E z^2k - (E z^k)^2) / n; E z^2k = (2k - 1)!!.
    z = Generator(7).normal(10**6, dtype=dtype).astype("float64")
    even = [1, 1, 3, 15, 105, 945, 10395]  # E z^0, E z^2, ..., E z^12
    for k in range(1, 7):
        exact = even[k // 2] if k % 2 == 0 else 0
        assert abs((z**k).mean() - exact) < 4 * math.sqrt((even[k] - exact**2) / 10**6), k


def test_neighbouring_normals_are_uncorrelated() -> None:
    z = Generator(8).normal(10**5)
    for lag in range(1, 9):  # a block holds 4, a pair shares its radius
        for power in (1, 2):
            a, b = z[:-lag] ** power, z[lag:] ** power
            assert abs(np.corrcoef(a, b)[0, 1]) < 4 / math.sqrt(10**5), (lag, power)


def always(word: int) -> Callable[..., np.ndarray]:
    """A Philox whose every word is this one."""
    return lambda xp, *, key, counter, blocks: np.full((blocks, 4), word, np.uint32)


@dtypes
@pytest.mark.parametrize("word", [0, 2**32 - 1])
def test_logarithms_are_finite_at_either_end(word: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "philox", always(word))
    rng = Generator(0)
    assert (rng.exponential(8, dtype=dtype) > 0).all()
    for x in (rng.exponential(8, dtype=dtype), rng.gumbel(8, dtype=dtype), rng.normal(8, dtype=dtype)):
        assert np.isfinite(x).all()


# --------------------------------------------------------------------------------- discrete distributions


def fits(counts: np.ndarray, probabilities: np.ndarray) -> bool:
    return stats.chisquare(counts, counts.sum() * probabilities).pvalue > LEVEL


@pytest.mark.parametrize(("low", "high"), [(0, 2), (-3, 4), (10**12, 10**12 + 17)])
def test_integers_are_all_alike(low: int, high: int) -> None:
    x = Generator(9).integers(low, high, N)
    assert x.dtype == np.int64
    assert fits(np.bincount(x - low, minlength=high - low), np.full(high - low, 1 / (high - low)))


def test_the_largest_range_of_integers_is_covered_evenly() -> None:
    x = Generator(10).integers(0, 2**32, N)
    for bit in range(32):
        assert abs((x >> bit & 1).mean() - 0.5) < 2.5 / math.sqrt(N), bit  # five standard deviations
    assert x.min() >= 0
    assert x.max() < 2**32


def test_integers_never_reach_the_upper_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "philox", always(2**32 - 1))
    for width in (1, 3, 7, 2**31 - 1, 2**32 - 1, 2**32):
        assert Generator(0).integers(0, width) == width - 1


def test_bernoulli_meets_every_probability(device: str) -> None:
    p = np.array([0.0, 0.02, 0.5, 0.9, 1.0])
    x = on_host(Generator(11, device=device).bernoulli(to_device(p, device), (N, 5)))
    assert (x.dtype, x.shape) == (np.float32, (N, 5))
    assert set(np.unique(x)) == {0.0, 1.0}
    assert (abs(x.mean(axis=0) - p) <= 4 * np.sqrt(p * (1 - p) / N)).all()
    scalar = on_host(Generator(11, device=device).bernoulli(0.3, N))
    assert abs(scalar.mean() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / N)


def test_bernoulli_broadcasts(device: str) -> None:
    rng = Generator(12, device=device)
    p = on(rng, np.full((3, 1), 0.5, np.float32))
    shapes = [
        rng.bernoulli(p).shape,
        rng.bernoulli(p, (2, 1, 4)).shape,
        rng.bernoulli(p, 4).shape,
        rng.bernoulli(0.5).shape,
    ]
    assert shapes == [(3, 1), (2, 3, 4), (3, 4), ()]
    assert rng.bernoulli(on(rng, np.empty((0, 4)))).shape == (0, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_categorical_follows_the_softmax(dtype: str, device: str) -> None:
    logits = np.array([[0.0, 1.0, -2.0, 3.0], [5.0, 5.0, -np.inf, 5.0]], dtype) + 1000
    x = on_host(Generator(13, device=device).categorical(to_device(logits, device), N))
    assert (x.dtype, x.shape) == (np.int64, (N, 2))
    for batch in range(2):
        weights = np.exp(logits[batch].astype("float64") - logits[batch].max())
        alive = weights > 0
        counts = np.bincount(x[:, batch], minlength=4)
        assert counts[~alive].sum() == 0
        assert fits(counts[alive], (weights / weights.sum())[alive])


def test_categorical_shapes(device: str) -> None:
    rng = Generator(14, device=device)
    logits, one, none = (on(rng, np.zeros(shape)) for shape in ((3, 2, 5), (5,), (0, 5)))
    shapes = [rng.categorical(logits).shape, rng.categorical(logits, (7, 1)).shape, rng.categorical(one).shape]
    assert shapes == [(3, 2), (7, 1, 3, 2), ()]
    assert rng.categorical(none, 2).shape == (2, 0)


@pytest.mark.parametrize("word", [0, 2**32 - 1])
def test_categorical_draws_no_impossible_category_at_either_end(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "philox", always(word))
    logits = np.array([-np.inf, -np.inf, 0.1, 0.2, 0.3, -np.inf])
    assert Generator(0).categorical(logits) == (2 if word == 0 else 4)


@given(n=st.integers(0, 200), seed=st.integers(0, 2**64 - 1))
def test_a_permutation_holds_every_index_once(n: int, seed: int, device: str) -> None:
    order = Generator(seed, device=device).permutation(n)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))


def test_the_six_orders_of_three_are_alike() -> None:
    rng = Generator(15)
    orders = list(itertools.permutations(range(3)))
    counts = np.zeros(6)
    for _ in range(3000):
        counts[orders.index(tuple(rng.permutation(3).tolist()))] += 1
    assert fits(counts, np.full(6, 1 / 6))


# -------------------------------------------------------------------------------------- shapes and errors

shaped = pytest.mark.parametrize(
    "draw",
    [
        lambda rng, shape: rng.uniform(shape, low=-1.0),
        lambda rng, shape: rng.normal(shape, mean=1.0, scale=2.0),
        lambda rng, shape: rng.normal(shape, dtype="float64"),
        lambda rng, shape: rng.exponential(shape),
        lambda rng, shape: rng.gumbel(shape),
        lambda rng, shape: rng.integers(0, 5, shape),
        lambda rng, shape: rng.bernoulli(0.5, shape),
        lambda rng, shape: rng.categorical(on(rng, np.zeros(3)), shape),
    ],
    ids=["uniform", "normal", "normal float64", "exponential", "gumbel", "integers", "bernoulli", "categorical"],
)


@shaped
@pytest.mark.parametrize("shape", [(), 3, (3,), (2, 3), (0, 3)])
def test_the_outcome_is_an_array_of_the_shape_asked_for(
    draw: Callable[..., Any], shape: int | tuple[int, ...], device: str
) -> None:
    x = draw(Generator(0, device=device), shape)
    assert type(x) is module_of(device).ndarray
    assert x.shape == ((shape,) if isinstance(shape, int) else shape)
    x += 0  # may be written to
    if device == "cpu":
        assert x.flags.c_contiguous


@shaped
@pytest.mark.parametrize("shape", [-1, (2, -3)])
def test_negative_sizes_are_refused(draw: Callable[..., Any], shape: int | tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="has a negative size"):
        draw(Generator(0), shape)


nan = math.nan


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: Generator(-1), r"seed -1 is outside \[0, 2\^64\)"),
        (lambda rng: Generator(2**64), "seed 18446744073709551616 is outside"),
        (lambda rng: Generator(0, device="tpu"), "device 'tpu' is unknown"),
        (lambda rng: rng.uniform(2, low=1.0, high=1.0), "uniform: low = 1.0, high = 1.0; expected .* low < high"),
        (lambda rng: rng.uniform(2, low=nan), "uniform: low = nan"),
        (lambda rng: rng.uniform(2, high=math.inf), "uniform: low = 0.0, high = inf; expected two finite numbers"),
        (lambda rng: rng.uniform(2, dtype="float16"), "uniform: dtype 'float16'; expected 'float32' or 'float64'"),
        (lambda rng: rng.normal(2, dtype="foo"), "normal: dtype 'foo'; expected"),
        (lambda rng: rng.normal(2, scale=0.0), "normal: scale is 0.0, expected a positive number"),
        (lambda rng: rng.normal(2, scale=nan), "normal: scale is nan"),
        (lambda rng: rng.exponential(2, scale=-1.0), "exponential: scale is -1.0"),
        (lambda rng: rng.integers(3, 3), r"integers: \[3, 3\); expected low < high"),
        (lambda rng: rng.integers(0, 2**32 + 1), r"high - low at most 2\^32"),
        (lambda rng: rng.integers(2**63 - 1, 2**63 + 1), "both within int64"),
        (lambda rng: rng.bernoulli(1.5, 3), "bernoulli: probabilities from 1.5 to 1.5; expected them in"),
        (lambda rng: rng.bernoulli(nan, 3), "bernoulli: probabilities from nan"),
        (lambda rng: rng.bernoulli(on(rng, np.array([0.5, -0.1]))), "bernoulli: probabilities from -0.1 to 0.5"),
        (lambda rng: rng.bernoulli(on(rng, np.array([0.5, nan]))), "bernoulli: probabilities from nan to nan"),
        (lambda rng: rng.bernoulli(on(rng, np.zeros(3)), 4), r"shape \(3,\), which does not broadcast with \(4,\)"),
        (lambda rng: rng.categorical(on(rng, np.array([0.0, nan]))), "categorical: a logit is NaN or inf"),
        (lambda rng: rng.categorical(on(rng, np.full((2, 3), -np.inf))), "all logits of an element are -inf"),
        (
            lambda rng: rng.categorical(on(rng, np.zeros((2, 0)))),
            r"logits have shape \(2, 0\); expected \(\*batch, K\)",
        ),
        (lambda rng: rng.permutation(-1), r"permutation: n is -1, expected a whole number of at least 0"),
    ],
)
def test_bad_arguments_are_named_and_leave_the_stream_where_it_was(
    call: Callable[[Generator], Any], message: str, device: str
) -> None:
    rng = Generator(0, device=device)
    with pytest.raises(ValueError, match=message):
        call(rng)
    assert rng.state()["counter"] == 0


def test_a_seed_is_an_integer() -> None:
    for seed in (1.5, 1.0, None, "1"):
        with pytest.raises(ValueError, match=rf"Generator: seed is {seed!r}, expected a whole number$"):
            Generator(seed)  # type: ignore[arg-type]


def test_a_copy_goes_on_alone_from_the_same_place():
    rng = Generator(5)
    rng.uniform(3)
    copied = copy.deepcopy(rng)
    np.testing.assert_array_equal(copied.normal(4), rng.normal(4))
    copied.uniform(10)
    assert copied.state() != rng.state()
