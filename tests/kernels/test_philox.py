"""Random words against the published vectors, and the numbers made of them against their definitions."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen import kernels
from minigen.kernels import cpu, reference, threads

both = pytest.mark.parametrize("module", [reference, cpu], ids=["reference", "compiled"])
words64 = st.integers(0, 2**64 - 1)


def joined(*words: int) -> int:
    """Words of 32 bits as one integer, the low word first."""
    return sum(word << 32 * i for i, word in enumerate(words))


@both
@pytest.mark.parametrize(
    ("counter", "key", "block"),
    [  # the authors' known answers for philox4x32-10; the last takes the digits of pi
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(module: Any, counter: tuple[int, ...], key: tuple[int, ...], block: tuple[int, ...]) -> None:
    words = module.philox(np, key=joined(*key), counter=joined(*counter), blocks=1)
    assert words.dtype == np.uint32
    assert words.tolist() == [list(block)]


@given(key=words64, low=words64, high=words64, blocks=st.integers(0, 40))
def test_compiled_words_equal_the_reference(key: int, low: int, high: int, blocks: int) -> None:
    place = {"key": key, "counter": joined(low) + (high << 64), "blocks": blocks}
    np.testing.assert_array_equal(cpu.philox(np, **place), reference.philox(np, **place))


@both
@pytest.mark.parametrize("start", [5, 2**32 - 3, 2**64 - 3, 2**64 + 7])
def test_a_block_depends_on_its_counter_alone_and_the_low_half_wraps(module: Any, start: int) -> None:
    words = module.philox(np, key=9, counter=start, blocks=8)
    for i in range(8):
        counter = (start >> 64 << 64) + (start + i) % 2**64
        np.testing.assert_array_equal(words[i], module.philox(np, key=9, counter=counter, blocks=1)[0])


def test_threads_change_no_bit() -> None:
    before = threads.get_threads()
    outcomes = []
    try:
        for count in (1, 3):
            threads.set_threads(count)
            words = kernels.philox(np, key=1, counter=2, blocks=140_001)
            outcomes.append((words, kernels.normal32(words)))
    finally:
        threads.set_threads(before)
    np.testing.assert_array_equal(outcomes[0][0], outcomes[1][0])
    np.testing.assert_array_equal(outcomes[0][1], outcomes[1][1])


EXTREMES = np.array([0, 255, 256, 2**31 - 1, 2**31, 2**32 - 257, 2**32 - 256, 2**32 - 1], np.uint32).reshape(2, 4)


@both
def test_uniform32_takes_the_upper_24_bits(module: Any) -> None:
    expected = [word // 256 / 2**24 for word in EXTREMES.ravel().tolist()]
    assert module.uniform32(EXTREMES).ravel().tolist() == expected
    assert (min(expected), max(expected)) == (0.0, 1 - 2**-24)
    assert module.uniform32(EXTREMES).dtype == np.float32


@both
def test_open_uniform32_is_the_odd_multiples_of_its_unit(module: Any) -> None:
    numerators = module.open_uniform32(EXTREMES).ravel() * 2.0**24
    assert numerators.tolist() == [word // 256 | 1 for word in EXTREMES.ravel().tolist()]
    assert (numerators.min(), numerators.max()) == (1, 2**24 - 1)


def test_uniform64_takes_the_upper_53_bits_of_two_words() -> None:
    pairs = EXTREMES.reshape(-1, 2).tolist()
    numerators = [joined(low, high) >> 11 for low, high in pairs]
    assert kernels.uniform64(EXTREMES).shape == (2, 2)
    assert kernels.uniform64(EXTREMES).ravel().tolist() == [n / 2**53 for n in numerators]
    assert kernels.open_uniform64(EXTREMES).ravel().tolist() == [(n | 1) / 2**53 for n in numerators]
    highest = np.full(4, 2**32 - 1, np.uint32)
    assert kernels.uniform64(highest).max() == kernels.open_uniform64(highest).max() == 1 - 2**-53


def test_uniform_numbers_are_equal_to_the_bit() -> None:
    words = kernels.philox(np, key=11, counter=0, blocks=5000)
    np.testing.assert_array_equal(cpu.uniform32(words), reference.uniform32(words))
    np.testing.assert_array_equal(cpu.open_uniform32(words), reference.open_uniform32(words))


@both
def test_normal32_is_the_transform_of_box_and_muller(module: Any) -> None:
    words = np.concatenate([kernels.philox(np, key=12, counter=0, blocks=500), EXTREMES])
    expected = []
    for first, second in words.reshape(-1, 2).tolist():
        u, v = (first // 256 | 1) / 2**24, second // 256 / 2**24
        radius = math.sqrt(-2 * math.log(u))
        expected += [radius * math.cos(2 * math.pi * v), radius * math.sin(2 * math.pi * v)]
    normals = module.normal32(words)
    assert (normals.shape, normals.dtype) == (words.shape, np.float32)
    np.testing.assert_allclose(normals.ravel(), expected, rtol=4e-7, atol=1e-15)  # cos(pi / 2) is 0 or 6e-17


def test_compiled_normals_equal_the_reference_to_rounding() -> None:
    words = kernels.philox(np, key=13, counter=0, blocks=250_000)
    np.testing.assert_allclose(cpu.normal32(words), reference.normal32(words), rtol=4e-7, atol=1e-15)


def test_normal64_is_the_transform_of_box_and_muller() -> None:
    words = np.concatenate([kernels.philox(np, key=14, counter=0, blocks=500), EXTREMES])
    expected = []
    for block in words.tolist():
        u, v = (joined(*block[:2]) >> 11 | 1) / 2**53, (joined(*block[2:]) >> 11) / 2**53
        radius = math.sqrt(-2 * math.log(u))
        expected += [radius * math.cos(2 * math.pi * v), radius * math.sin(2 * math.pi * v)]
    normals = kernels.normal64(words)
    assert (normals.shape, normals.dtype) == ((len(words), 2), np.float64)
    np.testing.assert_allclose(normals.ravel(), expected, rtol=1e-14, atol=1e-15)
