"""Files that are either the old one or the new one, never half of either, and states kept in them.

A state is a dict of flat dotted names. In a file, arrays are safetensors' tensors and everything else is one JSON string in the metadata;
no code is ever loaded. On the GPU or the CPU, the same file results.
"""

import copy
import glob
import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from minigen.backend import to_device
from minigen.nn import check_state

FORMAT = 2
"""Of the files of `save_state`. Another number is refused, so it rises whenever files of the former kind can no longer be read."""
ENTRY = "minigen"  # of the metadata: {"format": FORMAT, "values": {...}} as JSON
ASIDE = ".aside"  # ends the names of files that are still being written


class HasState(Protocol):
    """What can be kept: a module, an optimizer, an average, a random generator, batches, a history."""

    def state(self) -> dict[str, Any]:
        """Return the state as flat names with arrays and JSON values."""

    def load_state(self, state: Mapping[str, Any], /) -> None:
        """Take a state over."""


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file aside, flush it to the disk, and rename it into place; whatever happens, no half-written file has the name.

    Until the rename, which happens at once or not at all, `path` is the former file. A process that is killed before it leaves the aside
    behind; the next write of the same file removes it.

    Args:
        path: the file; its folder is made if it is missing.
        content: all of it.

    Example:
        >>> folder = tempfile.TemporaryDirectory()
        >>> write_atomically(Path(folder.name) / "new" / "file", b"whole")
        >>> (Path(folder.name) / "new" / "file").read_bytes()
        b'whole'
        >>> folder.cleanup()
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=ASIDE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)
    for left_behind in path.parent.glob(f".{glob.escape(path.name)}.*{ASIDE}"):
        left_behind.unlink(missing_ok=True)


def write_arrays(path: str | Path, **arrays: NDArray[Any]) -> None:
    """Write named arrays as one compressed file of NumPy's, whole or not at all.

    Args:
        path: the file, by custom "*.npz"; `numpy.load` reads it.
        **arrays: on the CPU.

    Example:
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
        >>> import minigen as mg
        >>> folder = tempfile.TemporaryDirectory()
        >>> rng = mg.random.Generator(0)
        >>> layer = mg.nn.Linear(2, 1, rng=rng)
        >>> save_state(Path(folder.name) / "weights.safetensors", model=layer, rng=rng)
        >>> load_state(Path(folder.name) / "weights.safetensors", model=layer, rng=rng)
        >>> folder.cleanup()
    """
    from safetensors.numpy import save

    tensors, values = {}, {}
    for name, value in _flat({part_name: part.state() for part_name, part in parts.items()}).items():
        if hasattr(value, "shape"):
            tensors[name] = to_device(value, "cpu").copy()
        else:
            values[name] = value
    # One entry only: the order of several is not fixed, and one state should give one file.
    metadata = {ENTRY: json.dumps({"format": FORMAT, "values": values})}
    write_atomically(path, save(tensors, metadata))


def read_state(path: str | Path) -> dict[str, Any]:
    """Return all entries of a file that `save_state` wrote, under their flat names: arrays, and JSON values.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, of another origin, or in another format.

    Example:
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
            found: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"read_state: {path} ({path.stat().st_size:,} bytes) is not a whole safetensors file; it may be truncated: {error}"
        ) from error
    if ENTRY not in metadata and "minigen-1" not in metadata:
        raise ValueError(
            f"read_state: {path} was not written by minigen: its metadata {sorted(metadata)} has no {ENTRY!r}"
        )
    try:
        content = json.loads(metadata.get(ENTRY, '{"format": 1}'))
        found_format = content["format"]
        if found_format == FORMAT:
            return found | content["values"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"read_state: {path} is damaged: its values are not a JSON object ({error})") from error
    raise ValueError(
        f"read_state: {path} is in format {found_format}, but this minigen reads format {FORMAT}: train anew, or read it with the minigen "
        "that wrote it"
    )


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
    return {f"{part_name}.{name}": value for part_name, state in states.items() for name, value in state.items()}
