"""The IDX format, in which MNIST and its successors are kept; read strictly, since a damaged file must not pass for data.

A file is (Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", section "File formats")

    0 0 type D    four bytes: two zeros, the code of the numbers' type, the count of dimensions
    n_1 ... n_D   the dimensions, four bytes each
    numbers       n_1 ... n_D of them, the last dimension running fastest

with the most significant byte first, and often compressed by gzip. The header is not trusted: memory is taken as the numbers arrive,
never for more of them than it promises, and from a compressed file never for more than data could be.
"""

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LARGEST = 2**30  # bytes of numbers in one file; MNIST's largest has 47 million
MOST_DIMENSIONS = 8
GZIP_MAGIC = b"\x1f\x8b"
GZIP_GAIN = 1032  # deflate makes at most this many bytes out of one
# The limit beyond 2^26 bytes: images give about five bytes for one, and only a file that was made to fill the memory gives more.
LARGE, LARGE_GAIN = 2**26, 100
CHUNK = 2**20


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read one array from an IDX file, plain or compressed by gzip; the first bytes tell which.

    Args:
        path: the file.

    Returns:
        The array, of the type and shape in the header, in the machine's byte order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not of the format, shorter or longer than its header says, damaged, or larger than 2^30 bytes. The message
            names the file and says what was expected.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "labels-idx1-ubyte"
        ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        ...     read_idx(path)
        array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"read_idx: there is no file {path}")
    size = path.stat().st_size
    with open(path, "rb") as file:
        compressed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        if not compressed:
            return _read(file, path, most=size, trusted=size)
        try:
            with gzip.open(file) as unpacked:
                return _read(unpacked, path, most=GZIP_GAIN * size, trusted=LARGE + LARGE_GAIN * size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"read_idx: {path} is damaged, or not a whole gzip file: {error}") from error


def _read(file: BinaryIO | gzip.GzipFile, path: Path, *, most: int, trusted: int) -> NDArray[Any]:
    """Read the header and the numbers from a file that can hold at most `most` bytes, and is not trusted with more than `trusted`."""
    dtype, shape = _read_header(file, path)
    promised = math.prod(shape) * dtype.itemsize
    what = f"{' x '.join(map(str, shape))} numbers of type {dtype.name}"
    if promised > LARGEST:
        raise ValueError(f"read_idx: {path} promises {what}, {promised:,} bytes; expected at most {LARGEST:,}")
    if promised > most:
        raise ValueError(f"read_idx: {path} promises {what}, {promised:,} bytes, which a file of its size cannot hold")
    if promised > trusted:
        raise ValueError(
            f"read_idx: {path} promises {what}, {promised:,} bytes, which is unusual for a gzip file of its size; unpack it first if it is "
            "what you expect"
        )

    content = bytearray()
    while len(content) < promised:
        chunk = file.read(min(CHUNK, promised - len(content)))
        if not chunk:
            raise ValueError(
                f"read_idx: {path} ends after {len(content):,} bytes of numbers, expected {promised:,}: {what}"
            )
        content += chunk
    if file.read(1):
        raise ValueError(f"read_idx: {path} goes on after the {promised:,} bytes that its header promises: {what}")
    numbers = np.frombuffer(content, dtype).reshape(shape)
    return numbers if dtype.isnative else numbers.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _read_header(file: BinaryIO | gzip.GzipFile, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise ValueError(
            f"read_idx: {path} begins with the bytes {magic.hex(' ') or '(none)'}; an IDX file begins with 00 00, "
            "the code of a type, and the count of dimensions"
        )
    code, dimensions = magic[2], magic[3]
    if code not in TYPES:
        known = ", ".join(f"{number:02x} ({np.dtype(name).name})" for number, name in TYPES.items())
        raise ValueError(f"read_idx: {path} has numbers of type {code:02x}; known are {known}")
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise ValueError(f"read_idx: {path} has {dimensions} dimensions, expected 1 to {MOST_DIMENSIONS}")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise ValueError(f"read_idx: {path} ends in its header, before the sizes of its {dimensions} dimensions")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    if 0 in shape:
        raise ValueError(f"read_idx: {path} has the shape {shape}, expected sizes of 1 or more")
    return np.dtype(TYPES[code]), shape
