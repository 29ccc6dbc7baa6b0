"""What the files of benchmarks/results/ hold, found by what a figure is about."""

import json
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "results"
TRAININGS = "papers-cpu"  # the file of trainings, a row for each run


class Source(NamedTuple):
    """A value with the machine that gave it."""

    value: float
    machine: dict[str, Any]


class Results:
    """The files of a folder.

    Args:
        folder: of JSON files, each with "machine" and "rows".
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self.files = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}

    def machine(self, file: str) -> dict[str, Any]:
        """Return what a file was measured on; the compilers, where nothing was run."""
        return self.files[file].get("machine") or self.files[file]["compilers"]

    def rows(self, file: str, **which: Any) -> list[dict[str, Any]]:
        """Return the rows of a file that have these entries.

        Raises:
            LookupError: there is none.
        """
        found = [
            row for row in self.files[file]["rows"] if all(row.get(name) == value for name, value in which.items())
        ]
        if not found:
            raise LookupError(f"{file}.json has no row with {which}")
        return found

    def training(self, command: str, *, seed: int = 0) -> dict[str, Any]:
        """Return the row of a run, by its command in any order of options.

        Raises:
            LookupError: there is none.
        """
        for row in self.trainings_of_all_seeds(command):
            if row["metrics"]["seed"] == seed:
                return row
        raise LookupError(f"{TRAININGS}.json has no run of seed {seed} of: {command}")

    def trainings_of_all_seeds(self, command: str) -> list[dict[str, Any]]:
        """Return the rows of all runs of a command, which differ in their seeds.

        Raises:
            LookupError: there is none.
        """
        found = [
            {"machine": self.files[TRAININGS]["machine"]} | row
            for row in self.files[TRAININGS]["rows"]
            if row["metrics"] and options(row["command"]) == options(command)
        ]
        if not found:
            raise LookupError(f"{TRAININGS}.json has no run of: {command}; `report.py --add` adds one")
        return found


def options(command: str) -> list[list[str]]:
    """Return the options of a command with their values, sorted, without the seed.

    Example:
        >>> options("python examples/vae.py --k 5 --data mnist --seed 3")
        [['--data', 'mnist'], ['--k', '5'], ['python', 'examples/vae.py']]
    """
    groups: list[list[str]] = []
    for word in shlex.split(command):
        if word.startswith("--") or not groups:
            groups.append([])
        groups[-1].append(word)
    return sorted(group for group in groups if not re.fullmatch("--seed", group[0]))
