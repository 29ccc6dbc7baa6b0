"""What the CUDA kernels need beside CuPy: the package numba-cuda, and libNVVM, the compiler in NVIDIA's CUDA toolkit.

numba-cuda takes the place of the outdated `numba.cuda` inside Numba. It does so by a file that Python reads at its start, but only in
its own folder of packages; where packages were installed elsewhere (`pip install --target`), `prepare` reads that file itself. It also
finds a libNVVM that numba-cuda would not look for. A CUDA_HOME or CUDA_PATH that is set is left alone.
"""

import ctypes
import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

PARTS = {
    "nvvm": "compiles minigen's CUDA kernels",
    "nvrtc": "compiles CuPy's kernels",
    "cublas": "multiplies matrices",
    "cusolver": "decomposes matrices",
}
"""The libraries of the toolkit that a GPU is used through, and what each does."""

MISSING = "install the toolkit by pip install 'minigen[gpu]' for CUDA 13, or 'minigen[gpu12]' for CUDA 12, or set CUDA_HOME to its folder"
"""What to do where a part of the toolkit is missing."""


def has_numba_cuda() -> bool:
    """Return whether numba-cuda is installed. It is looked for under its own name, since Numba alone has a `numba.cuda` too.

    Example:
        >>> has_numba_cuda() in (True, False)
        True
    """
    return importlib.util.find_spec("numba_cuda") is not None


def prepare() -> None:
    """Make `numba.cuda` numba-cuda's, and load libNVVM if that can be found. Without numba-cuda nothing is done.

    Raises:
        ImportError: Numba's own `numba.cuda` was imported before; its kernels take no addresses.
    """
    if not has_numba_cuda():
        return
    importlib.import_module("_numba_cuda_redirector")
    cuda = importlib.import_module("numba.cuda")
    if "numba_cuda" not in str(cuda.__file__):
        raise ImportError(
            f"numba.cuda was imported from {cuda.__file__}, which is Numba's own and not numba-cuda's; "
            "write `import _numba_cuda_redirector` above the first import of numba.cuda"
        )
    library("nvvm")


def library(name: str) -> str | None:
    """Load a library of the CUDA toolkit.

    Args:
        name: without "lib" and its ending: "nvvm", "nvrtc", "cublas", ...

    Returns:
        The path of the file; None if it cannot be found.

    Raises:
        ImportError: cuda-pathfinder is not installed, which CuPy and numba-cuda bring along.
    """
    pathfinder = importlib.import_module("cuda.pathfinder")
    try:
        return pathfinder.load_nvidia_dynamic_lib(name).abs_path
    except (pathfinder.DynamicLibNotFoundError, OSError):
        pass
    if name != "nvvm" or "CUDA_HOME" in os.environ or "CUDA_PATH" in os.environ:
        return None
    found = compiler_in(toolkit_folders())
    if found is None:
        return None
    home, path = found
    os.environ["CUDA_HOME"] = str(home)  # where numba-cuda looks for the compiler's own library, libdevice
    ctypes.CDLL(str(path))  # and libNVVM is found among what is loaded
    return str(path)


def toolkit_folders() -> list[Path]:
    """Return the folders where a CUDA toolkit may be: those of NVIDIA's packages, that of nvcc, and the usual one."""
    packages = [Path(folder, "nvidia", name) for folder in sys.path for name in ("cu13", "cuda_nvcc")]
    nvcc = shutil.which("nvcc")
    return [*packages, *([Path(nvcc).resolve().parents[1]] if nvcc else []), Path("/usr/local/cuda")]


def compiler_in(folders: Iterable[Path]) -> tuple[Path, Path] | None:
    """Return the first of the folders that holds a whole compiler, libNVVM and libdevice, and the path of libNVVM; None if none does.

    Example:
        >>> compiler_in([Path("nowhere")]) is None
        True
    """
    for home in folders:
        libraries = sorted([*home.glob("nvvm/lib64/libnvvm.so*"), *home.glob("lib/libnvvm.so*")])
        if libraries and (home / "nvvm/libdevice/libdevice.10.bc").is_file():
            return home, libraries[0]
    return None
