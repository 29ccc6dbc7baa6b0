"""IDX files: read right, or refused with a message that says what is wrong; never with much memory."""

import gzip
import re
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigen.data import idx, read_idx

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}
shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)
arrays = st.sampled_from(sorted(CODES)).flatmap(lambda dtype: hnp.arrays(dtype, shapes))


def header(code, *shape):
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def idx_bytes(array):
    return header(CODES[array.dtype.name], *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()


@given(array=arrays, pack=st.sampled_from([bytes, gzip.compress]))
def test_what_was_written_is_read(tmp_path, array, pack):
    path = tmp_path / "array"
    path.write_bytes(pack(idx_bytes(array)))
    found = read_idx(path)
    assert (found.dtype, found.shape, found.dtype.isnative) == (array.dtype, array.shape, True)
    np.testing.assert_array_equal(found, array)
    found[...] = 0  # the array is its reader's own


WRONG = {
    "begins with the bytes 00 00 08;": bytes([0, 0, 8]),
    "begins with the bytes 89 50 4e 47; an IDX file begins with 00 00": b"\x89PNG\r\n\x1a\n",
    "has numbers of type 0a; known are 08 (uint8), 09 (int8)": header(0x0A, 3) + b"abc",
    "has 0 dimensions, expected 1 to 8": bytes([0, 0, 8, 0]),
    "has 9 dimensions": header(8, *[1] * 9) + b"a",
    "ends in its header, before the sizes of its 3 dimensions": header(8, 2, 2, 2)[:-1],
    "has the shape (3, 0), expected sizes of 1 or more": header(8, 3, 0),
    "goes on after the 6 bytes that its header promises: 2 x 3 numbers of type uint8": header(8, 2, 3) + b"abcdefg",
    "promises 3 x 4294967295 numbers of type int32, 51,539,607,540 bytes; expected at most 1,073,741,824":
        header(12, 3, 2**32 - 1) + b"abcd",
    "promises 900 x 100 numbers of type uint8, 90,000 bytes, which a file of its size cannot hold":
        header(8, 900, 100) + b"ab",
}  # fmt: skip


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_is_said(tmp_path, message, pack):
    path = tmp_path / "wrong"
    path.write_bytes(pack(WRONG[message]))
    with pytest.raises(ValueError, match=re.escape(f"read_idx: {path} {message}")):
        read_idx(path)


@pytest.mark.parametrize(
    "content", [b"", gzip.compress(b"", mtime=0)]
)  # with the time of day, two processes would name it differently
def test_an_empty_file_is_refused(tmp_path, content):
    (tmp_path / "empty").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape("empty begins with the bytes (none); an IDX file")):
        read_idx(tmp_path / "empty")


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole = idx_bytes(np.arange(12, dtype=np.int16).reshape(3, 4))
    for content in (whole, gzip.compress(whole)):
        for length in range(len(content)):
            (tmp_path / "cut").write_bytes(content[:length])
            with pytest.raises(ValueError, match=re.escape(f"read_idx: {tmp_path / 'cut'} ")):
                read_idx(tmp_path / "cut")


def test_a_gzip_file_with_a_flipped_bit_is_refused(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, 200).astype(np.uint8)
    content = bytearray(gzip.compress(idx_bytes(array), mtime=0))
    for position in range(10, len(content)):  # before it stand the time and the like, which gzip does not check
        content[position] ^= 4
        (tmp_path / "flipped").write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(f"read_idx: {tmp_path / 'flipped'} ")):
            read_idx(tmp_path / "flipped")
        content[position] ^= 4


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileNotFoundError, match=f"read_idx: there is no file {path}"):
            read_idx(path)


# ------------------------------------------------------------------------------------------------------------------ any bytes

LIKELY = st.builds(
    lambda code, shape, data: header(code, *shape) + data,
    st.sampled_from([*CODES.values(), 0, 0x0A]),
    st.lists(st.one_of(st.integers(0, 4), st.integers(0, 2**32 - 1)), max_size=10),
    st.binary(max_size=64),
)


@st.composite
def mutated(draw):
    content = bytearray(idx_bytes(draw(arrays)))
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, max(0, len(content) - 1)))
        action = draw(st.sampled_from(["change", "delete", "insert"]))
        if action == "insert" or not content:
            content.insert(position, draw(st.integers(0, 255)))
        elif action == "delete":
            del content[position]
        else:
            content[position] = draw(st.integers(0, 255))
    return bytes(content)


@given(
    content=st.one_of(st.binary(max_size=200), LIKELY, mutated()),
    pack=st.sampled_from([bytes, gzip.compress, lambda content: idx.GZIP_MAGIC + content]),
)
def test_any_bytes_give_the_array_they_spell_or_a_value_error(tmp_path, content, pack):
    path = tmp_path / "any"
    path.write_bytes(pack(content))
    tracemalloc.start()
    try:
        found = read_idx(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert idx_bytes(found) == content  # the bytes are exactly those that this array is written as
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1e6


@pytest.mark.parametrize("promised", [10, 2**30])
def test_a_gzip_bomb_costs_no_memory_beyond_what_is_promised(tmp_path, promised):
    # 100 MB of zeros behind a short header; and a header of 2^30 bytes before a file that could not hold them.
    zeros = gzip.compress(header(8, promised) + bytes(100_000_000 if promised == 10 else 1000))
    assert len(zeros) < 200_000
    (tmp_path / "bomb").write_bytes(zeros)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"goes on after the 10 bytes|cannot hold"):
        read_idx(tmp_path / "bomb")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_memory_grows_with_what_arrives_and_not_with_the_promise(tmp_path):
    # The promise is within what a gzip file of this size could hold, but only a hundredth of it comes.
    noise = np.random.default_rng(0).bytes(1_000_000)
    (tmp_path / "short").write_bytes(gzip.compress(header(8, 100_000_000) + noise))
    tracemalloc.start()
    with pytest.raises(ValueError, match="ends after 1,000,000 bytes of numbers, expected 100,000,000"):
        read_idx(tmp_path / "short")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_images_that_compress_well_are_read(tmp_path):
    blank = np.zeros((60_000, 28, 28), np.uint8)
    (tmp_path / "blank").write_bytes(gzip.compress(header(8, *blank.shape) + blank.tobytes()))
    np.testing.assert_array_equal(read_idx(tmp_path / "blank"), blank)


def test_a_megabyte_of_gzip_never_takes_a_gigabyte(tmp_path):
    # 2^28 numbers of 4 bytes, all 0: deflate could make such a file, but it is not data.
    (tmp_path / "bomb").write_bytes(gzip.compress(header(12, 2**28) + bytes(1000)) + bytes(1_100_000))
    with pytest.raises(
        ValueError,
        match=r"promises 268435456 numbers of type int32, 1,073,741,824 bytes, which is unusual .*; unpack it first",
    ):
        read_idx(tmp_path / "bomb")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_numbers_are_turned_to_the_order_of_the_machine_in_place(tmp_path, pack):
    content = idx_bytes(np.random.default_rng(0).integers(0, 2**31, (1000, 4000), np.int32))
    (tmp_path / "numbers").write_bytes(pack(content))
    tracemalloc.start()
    read_idx(tmp_path / "numbers")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * len(content)
