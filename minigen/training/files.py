"""Files that are either the old one or the new one, never half of either, and states kept in them.

A state is a dict of flat dotted names. In a file, arrays are safetensors' tensors and everything else is one JSON string in the metadata;
no code is ever loaded. The GPU and the CPU give the same file. The metadata also has a SHA-256 sum, so that a file in
which a single bit has changed is refused.
"""

import copy
import errno
import glob
import hashlib
import io
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from minigen.backend import to_device
from minigen.nn import check_state
from minigen.training.plain import plain

FORMAT = 2
"""Of the files of `save_state`. Another number is refused, so it rises whenever files of the former kind can no longer be read."""
ENTRY = (
    "minigen"  # of the metadata: {"format": FORMAT, "values": {...}, "sha256": "..."} as JSON; older files have no sum
)
ASIDE = ".aside"  # ends the names of files that are still being written
LONG_NAME = 100  # bytes; a longer name is shortened in the name of the file aside, which may have about 255 bytes
UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EBADF}
"""The errors of file systems that cannot flush a folder or keep a mode."""


class HasState(Protocol):
    """What can be kept: a module, an optimizer, an average, a random generator, batches, a history."""

    def state(self) -> dict[str, Any]:
        """Return the state as flat names with arrays and JSON values."""

    def load_state(self, state: Mapping[str, Any], /) -> None:
        """Take a state over."""


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file aside, flush it to the disk, and rename it into place; whatever happens, no half-written file has the name.

    Until the rename, which happens at once or not at all, `path` is the former file. A process that is killed before it leaves a file
    behind; the next write of the same file removes that. As with an ordinary write, the target of a symbolic link is written and the link
    stays, a former file keeps its mode, and the mode of a new one follows from the umask.

    Args:
        path: the file; its folder is made if it is missing.
        content: all of it.

    Raises:
        OSError: the file cannot be written; it is then unchanged.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> write_atomically(Path(folder.name) / "new" / "file", b"whole")
        >>> (Path(folder.name) / "new" / "file").read_bytes()
        b'whole'
        >>> folder.cleanup()
    """
    target = _target(Path(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = _open_aside(target)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            with _where_supported():
                os.fsync(file.fileno())
        if target.exists():
            with _where_supported():
                os.chmod(aside, stat.S_IMODE(target.stat().st_mode))
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)
    for left_behind in target.parent.glob(f"{glob.escape(_name_aside(target))}.{'[0-9a-f]' * 8}{ASIDE}"):
        left_behind.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Check that `write_atomically` can write a file in an existing folder; nothing is changed.

    Raises:
        OSError: it cannot; the message says why.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> check_writable(Path(folder.name) / "file")
        >>> folder.cleanup()
    """
    target = _target(Path(path))
    if target.parent.is_dir():
        handle, aside = _open_aside(target)
        os.close(handle)
        aside.unlink()


def _target(path: Path) -> Path:
    """Return the file that a path leads to, which may not exist yet.

    Raises:
        OSError: it is something that cannot be replaced: a folder, a device, or a circle of symbolic links.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if target.is_symlink():
        raise OSError(errno.ELOOP, f"{path} is part of a circle of symbolic links")
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder, but a file is to be written there")
    if target.exists() and not target.is_file():
        raise OSError(f"{path} is a device or a pipe, but a file is to be written there")
    return target


def _name_aside(target: Path) -> str:
    """Return the beginning of the names of the files that are written aside of one."""
    name = os.fsencode(target.name)
    return f".{target.name}" if len(name) <= LONG_NAME else f".{hashlib.sha256(name).hexdigest()[:32]}"


def _open_aside(target: Path) -> tuple[int, Path]:
    """Make an empty file beside one; return its handle and its name. Its mode follows from the umask until it gets that of a former one."""
    aside = target.parent / f"{_name_aside(target)}.{secrets.token_hex(4)}{ASIDE}"
    mode = 0o600 if target.exists() else 0o666
    return os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode), aside


@contextmanager
def _where_supported() -> Iterator[None]:
    """Ignore the error of a file system that cannot do what the block asks."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def write_arrays(path: str | Path, **arrays: NDArray[Any]) -> None:
    """Write named arrays as one compressed file of NumPy's, whole or not at all.

    Args:
        path: the file, by custom "*.npz"; `numpy.load` reads it.
        **arrays: on the CPU.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_arrays(Path(folder) / "samples.npz", labels=np.arange(3))
        ...     with np.load(Path(folder) / "samples.npz") as found:
        ...         found["labels"]
        array([0, 1, 2])
    """
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_atomically(path, content.getvalue())


def _flush_folder(folder: Path) -> None:
    """Put the rename itself on the disk, where the system lets a folder be flushed."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with _where_supported():
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def save_state(path: str | Path, **parts: HasState) -> None:
    """Save the states of named parts in one file.

    Args:
        path: the file, by custom "*.safetensors".
        **parts: what to keep, each under a name that begins the names of its entries.

    Example:
        >>> import tempfile
        >>> import minigen as mg
        >>> folder = tempfile.TemporaryDirectory()
        >>> rng = mg.random.Generator(0)
        >>> layer = mg.nn.Linear(2, 1, rng=rng)
        >>> save_state(Path(folder.name) / "weights.safetensors", model=layer, rng=rng)
        >>> load_state(Path(folder.name) / "weights.safetensors", model=layer, rng=rng)
        >>> folder.cleanup()
    """
    from safetensors.numpy import save

    for part_name in parts:
        if "." in part_name:
            raise ValueError(
                f"save_state: the name {part_name!r} has a dot, which separates a name from those of its entries"
            )
    tensors, values = {}, {}
    for name, value in _flat({part_name: part.state() for part_name, part in parts.items()}).items():
        if hasattr(value, "shape"):
            array = to_device(value, "cpu")
            tensors[name] = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
        else:
            values[name] = plain(value, name)
    values = json.loads(json.dumps(values))  # as they will be read back
    # One entry only: the order of several is not fixed, and one state should give one file.
    metadata = {ENTRY: json.dumps({"format": FORMAT, "values": values, "sha256": content_sum(tensors, values)})}
    write_atomically(path, save(tensors, metadata))


def read_state(path: str | Path) -> dict[str, Any]:
    """Return all entries of a file that `save_state` wrote, under their flat names: arrays, and JSON values.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, damaged, from another program, or in another format.

    Example:
        >>> import tempfile
        >>> import minigen as mg
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_state(Path(folder) / "noise.safetensors", rng=mg.random.Generator(7))
        ...     read_state(Path(folder) / "noise.safetensors")["rng.key"]
        7
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"read_state: there is no file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"read_state: {path} ({path.stat().st_size:,} bytes) is not a whole safetensors file; it may be truncated: {error}"
        ) from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"read_state: {path} has arrays of a type that NumPy does not know: {error}") from error
    if ENTRY not in metadata and "minigen-1" not in metadata:
        raise ValueError(
            f"read_state: {path} was not written by minigen: its metadata {sorted(metadata)} has no {ENTRY!r}"
        )
    try:
        content = json.loads(metadata.get(ENTRY, '{"format": 1}'))
        found_format = content.pop("format")
        values = content.pop("values", {})
        found = tensors | values
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"read_state: {path} is damaged: its values are not a JSON object ({error})") from error
    if found_format != FORMAT:
        raise ValueError(
            f"read_state: {path} is in format {found_format}, but this minigen reads format {FORMAT}: train again, or read it with the "
            "minigen that wrote it"
        )
    if content not in ({}, {"sha256": content_sum(tensors, values)}) or len(found) < len(tensors) + len(values):
        raise ValueError(f"read_state: {path} is damaged: its content is not what was written")
    return found


def load_state(path: str | Path, **parts: HasState) -> None:
    """Load the states that `save_state` saved, into parts of the same names and shapes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, of another origin, or does not fit; every difference is named, and no part has been changed.
    """
    found = read_state(path)
    own = {part_name: part.state() for part_name, part in parts.items()}
    check_state(_flat(own), found, what=str(path))
    before = copy.deepcopy(own)
    try:
        for part_name, part in parts.items():
            prefix = f"{part_name}."
            part.load_state({name.removeprefix(prefix): found[name] for name in found if name.startswith(prefix)})
    except Exception:
        for part_name, part in parts.items():
            part.load_state(before[part_name])
        raise


def _flat(states: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the states of several parts as one, each name led by its part's."""
    return {
        f"{part_name}.{name}": value.item() if isinstance(value, np.generic) else value  # a number, not an array
        for part_name, state in states.items()
        for name, value in state.items()
    }


def content_sum(tensors: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> str:
    """Return the SHA-256 sum of a file's content: the arrays with their names, types and shapes, and the values."""
    found = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        found.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()
