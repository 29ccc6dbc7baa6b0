"""How the kernels for the CPU are compiled, and how their machine code is kept."""

import contextlib
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

# Division by zero follows IEEE 754. A product and a sum may share one rounding; nothing else is relaxed, so that NaN and
# infinity keep their meaning.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}

inner = numba.njit(**_OPTIONS)
"""For functions that only loops call."""

inlined = numba.njit(inline="always", **_OPTIONS)
"""For those whose arguments many arrays are: in the place of the call the compiler knows that they do not overlap, and makes vectors."""

summing = numba.njit(error_model="numpy", fastmath={"contract", "reassoc"})
"""For `inner` functions that add up along a vector: the order of a sum is free in them, without which it would not vectorise.

They add and do nothing else: where order is free, (x + c) - c is x. What they add up is computed by calls of `inner` functions.
"""


def loop(function: Callable[..., Any]) -> Any:
    """Compile a loop at its first call, and keep the machine code on disk if there is a folder to write to.

    The folder is the one that Numba chooses: NUMBA_CACHE_DIR if it is set, else `__pycache__` beside the loop's file, else one in the
    user's cache. Kept code is used as long as no file of `minigen/kernels` changes: what a loop calls or reads may be in any of them.
    After a change each loop is recompiled at its next call, and its old files are removed.
    """
    compiled: Any = numba.njit(function, nogil=True, **_OPTIONS)
    with contextlib.suppress(RuntimeError):  # Numba finds no such folder, as in a read-only installation
        compiled._cache = _LoopCache(function)
    return compiled


# ------------------------------------------------------------------------------------------------------ keeping machine code


def sources_in(folder: Path) -> str:
    """Return a hash of all Python files in a folder and in those below it: of their names and contents.

    Example:
        >>> len(sources_in(Path(__file__).parent))
        64
    """
    found = hashlib.sha256()
    files = (path for path in folder.rglob("*.py") if path.is_file())  # an editor's lock may be a link to nowhere
    for path in sorted(files):
        text = path.read_bytes()
        found.update(f"{path.relative_to(folder).as_posix()} {len(text)}\n".encode() + text)
    return found.hexdigest()


# Computed now, before the other files are imported: if one is edited later, this process still runs the former code.
_SOURCES = sources_in(Path(__file__).parent)


def _short_hash(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


class _LoopCache(FunctionCache):
    """Numba's cache of one loop. Numba itself would notice a change only in the loop's own file."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # chooses the folder
        of_its_file = self._impl.locator.get_source_stamp()
        self._cache_file = _LoopFiles(self.cache_path, f"{function.__module__}.{function.__qualname__}", of_its_file)


class _LoopFiles(IndexDataCacheFile):
    """The files of one loop, one for each key: the types of its arguments, and the processor.

    A file's name has a hash of the sources and one of the key. So processes that start side by side cannot mistake one file for another,
    whatever they run: two that write the same file write the same code, and each puts its file in place by renaming it.
    """

    def __init__(self, folder: str, name: str, of_its_file: Any) -> None:
        super().__init__(folder, name, of_its_file)
        self._folder, self._name, self._sources = Path(folder), name, _short_hash(_SOURCES, of_its_file)

    def _file(self, key: Any) -> str:
        made_for = _short_hash(key, numba.__version__, sys.implementation.cache_tag)
        return f"{self._name}.{self._sources}.{made_for}.nbc"

    def load(self, key: Any) -> Any:
        """Return what was kept under a key, or None."""
        try:
            return self._load_data(self._file(key))
        except OSError:
            return None

    def save(self, key: Any, data: Any) -> None:
        """Keep data under a key, and remove what was made from other sources."""
        self._save_data(self._file(key), data)
        for path in self._folder.glob(f"{self._name}.*.nbc"):
            if not path.name.startswith(f"{self._name}.{self._sources}."):
                path.unlink(missing_ok=True)
