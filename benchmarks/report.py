"""Write docs/figures.md from the files of benchmarks/results/, and add the figures of a training to them.

    python benchmarks/report.py                             # docs/figures.md anew
    python benchmarks/report.py --add runs/vae runs/made    # rows of these runs, and docs/figures.md anew

A run's row has its command and its metrics.json, in papers-cpu.json; a row of the same command and seed is replaced.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
from figures import SECTIONS, Figure
from results import FOLDER, TRAININGS, Results, options

from minigen.training import write_atomically

PAGE = Path(__file__).parent.parent / "docs" / "figures.md"

HEAD = """# Figures

Every figure of the project beside a published or exact one, with the command that gives it. `python benchmarks/report.py` writes this
page from the files in `benchmarks/results/`, and a test fails if it is stale. Figures with an aim are marked ✓ (met) or ✗ (missed).
The machines are described at the end. No figure is from a GPU: the code for it is tested on a stand-in for CuPy, and its kernels are
compiled, but it has not been run on hardware yet.

What is known exactly is checked by tests, beside the figures here: the best discriminator D* = p/(p+q) and the value -log 4 at
equilibrium, the optimum of the penalized critic between two Gaussians, linear autoencoders against PCA, linear VAEs against probabilistic
PCA (`tests/oracles`), every gradient to second order (`tests/ops`), every layer against PyTorch (`tests/parity`).
"""

PICTURES = """
## Pictures

![Speed of convolutions and elementwise functions: plain NumPy, PyTorch, compiled; dashes: a matrix product](images/kernels.png)

The same of [attention, recurrence and normalization](images/sequences.png), of [drawing images pixel by pixel](images/sampling.png), and
[how a convolution's cost grows](images/scaling.png).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", nargs="+", type=Path, default=[], metavar="RUN", help="folders of finished runs")
    parser.add_argument("--threads", type=int, default=2, help="threads that the runs had (2)")
    arguments = parser.parse_args()
    for run in arguments.add:
        try:
            add(run, FOLDER / f"{TRAININGS}.json", harness.machine(arguments.threads))
        except (OSError, ValueError) as error:
            raise SystemExit(f"error: {error}") from None
    write_atomically(PAGE, page(Results()).encode())
    print(f"written to {PAGE}")


def add(run: Path, file: Path, machine: dict[str, Any]) -> None:
    """Add the row of a run to a file of trainings, in the place of one of the same command and seed.

    Args:
        run: the folder that an example wrote.
        file: of the trainings.
        machine: as `harness.machine` describes it.

    Raises:
        FileNotFoundError: the folder has no metrics.json.
        ValueError: the figures do not say which command they are from.
    """
    metrics = json.loads((run / "metrics.json").read_text())
    if not metrics.get("command"):
        raise ValueError(
            f"{run / 'metrics.json'} does not say which command it is from; run the example again with --evaluate {run}"
        )
    program, *words = metrics["command"].removeprefix("python examples/").split()
    name = " ".join([program.removesuffix(".py"), *words])
    row = {"name": name, "command": metrics["command"], "seed": metrics["seed"], "machine": machine, "metrics": metrics}
    content = json.loads(file.read_text())
    content["rows"] = [
        other
        for other in content["rows"]
        if (options(other["command"]), other["seed"]) != (options(row["command"]), row["seed"])
    ]
    content["rows"].append(row)
    write_atomically(file, (json.dumps(content, indent=1) + "\n").encode())


def page(results: Results) -> str:
    """Return the whole page."""
    machines: list[str] = []
    parts = [HEAD]
    for section in SECTIONS:
        parts.append(f"\n## {section.title}\n\n" + (f"{section.text}\n\n" if section.text else ""))
        rows = [cells(figure, results, machines) for figure in section.figures]
        parts.append(table(["figure", "obtained", "aim", "met", "reference", "source", "command", "machine"], rows))
    parts += [
        PICTURES,
        "\n## Machines\n\n",
        table(["", "machine"], [[letter(i), text] for i, text in enumerate(machines)]),
    ]
    return "".join(parts)


def cells(figure: Figure, results: Results, machines: list[str]) -> list[str]:
    """Return the row of a figure; list its machine if it is new."""
    value, machine = figure.look(results)
    described = describe(machine)
    if described not in machines:
        machines.append(described)
    is_met = (figure.at_most is None or value <= figure.at_most) and (
        figure.at_least is None or value >= figure.at_least
    )
    if figure.at_most is not None:
        aim = f"≤ {number(figure.at_most, figure.digits)}"
    else:
        aim = "" if figure.at_least is None else f"≥ {number(figure.at_least, figure.digits)}"
    return [
        figure.what,
        number(value, figure.digits),
        aim,
        ("✓" if is_met else "✗") if aim else "",
        "" if figure.reference is None else number(figure.reference, figure.digits),
        figure.source,
        f"`{figure.command}`",
        letter(machines.index(described)),
    ]


def number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def letter(place: int) -> str:
    return chr(ord("A") + place)


def describe(machine: dict[str, Any]) -> str:
    """Describe a machine in a line; the compilers, where nothing was run."""
    if "cpu" not in machine:
        return f"compiled for {machine['target']}; ptxas {machine['ptxas']}, numba-cuda {machine['numba-cuda']}; {machine['date']}"
    wanted = ("python", "numpy", "numba", "torch")
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in wanted if machine["versions"].get(name))
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] > 1)}"
    return f"{machine['cores']} cores of an {machine['cpu']}, {threads}; {versions}; {machine['date']}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |\n" for line in lines)


if __name__ == "__main__":
    main()
