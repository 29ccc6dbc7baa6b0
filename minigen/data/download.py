"""One file from the network: either whole, with the SHA-256 sum that is known of it, or not there at all."""

import hashlib
import http.client
import os
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

CHUNK = 2**16  # bytes
TIMEOUT = 30  # seconds in which nothing comes


def download(path: Path, *, mirrors: Sequence[str], size: int, sha256: str) -> None:
    """Download a file from the first mirror that gives it, under a progress bar (none where the output is not a terminal).

    What arrives is written aside and renamed into place when it is complete and right, so that whatever happens, no part of a file has the
    name, and two processes may download the same file.

    Args:
        path: where to put it; its folder is made if it is missing. Mirrors have it under the same name.
        mirrors: addresses, each ending in "/", in the order to try them.
        size: its bytes.
        sha256: its sum, in hexadecimal digits.

    Raises:
        OSError: the folder cannot be made, or no mirror gave the file; the message says what happened with each.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     there, here = Path(folder) / "there" / "file", Path(folder) / "here" / "file"
        ...     there.parent.mkdir()
        ...     _ = there.write_bytes(b"abc")
        ...     sha256 = hashlib.sha256(b"abc").hexdigest()
        ...     download(here, mirrors=[f"{there.parent.as_uri()}/"], size=3, sha256=sha256)
        ...     here.read_bytes()
        b'abc'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for mirror in mirrors:
        try:
            _fetch(mirror + path.name, path, size, sha256)
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"    {mirror}{path.name}: {error or type(error).__name__}")
        else:
            return
    raise OSError("\n".join([f"download: no mirror gave {path.name}:", *failures]))


def _fetch(url: str, path: Path, size: int, sha256: str) -> None:
    from tqdm import tqdm

    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".aside")
    found = hashlib.sha256()
    received = 0
    try:
        with (
            os.fdopen(handle, "wb") as file,
            urllib.request.urlopen(url, timeout=TIMEOUT) as response,
            tqdm(total=size, desc=path.name, unit="B", unit_scale=True, disable=None, dynamic_ncols=True) as bar,
        ):
            while received <= size and (chunk := response.read(CHUNK)):
                file.write(chunk)
                found.update(chunk)
                received += len(chunk)
                bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if received != size:
            raise OSError(f"it is {'shorter' if received < size else 'longer'} than expected, {size:,} bytes")
        if found.hexdigest() != sha256:
            raise OSError(f"its SHA-256 sum is {found.hexdigest()}, expected {sha256}")
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    finally:
        Path(aside).unlink(missing_ok=True)
