"""The shape of the house: imports run one way, and what is slow to import is imported on first use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import minigen

PACKAGE = Path(minigen.__file__).parent
ORDER = (
    "backend", "diagnosis", "sizes", "guards", "binding", "kernels", "random", "interchange", "operators", "engine", "ops", "nn", "optim",
    "distributions", "losses", "models", "data", "metrics", "training", "plots", "lessons", "testing", "__main__",
)  # fmt: skip
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a file imports when it runs; what is imported `if TYPE_CHECKING` is for annotations only."""
    rooms, tree = set(), ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("minigen.")}
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_itself_and_rooms_above(path):
    above = ORDER[: ORDER.index(room(path)) + 1]
    assert imported_rooms(path) <= set(above)


def test_importing_the_package_imports_nothing_slow():
    slow = ("numba", "cupy", "scipy", "matplotlib", "tqdm", "safetensors", "tyro", "torch", "jaxtyping")
    code = f"import sys, minigen; print([name for name in {slow} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_the_package_reveals_every_room():
    assert set(ORDER) - {"diagnosis", "sizes", "guards", "binding", "interchange", "operators", "__main__"} == set(
        minigen.ROOMS
    )
    for name in minigen.ROOMS:
        assert getattr(minigen, name).__name__ == f"minigen.{name}"
