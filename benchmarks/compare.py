"""Compare two files of results, row by row: how the times of the second stand to those of the first.

A ratio below 1 means that B is faster. Its range goes from B's lower quartile over A's upper one to B's upper over A's lower: where 1 lies
in it, the difference is within the noise. Rows are sorted by their ratio; below stand the geometric means of each kernel and
implementation. PyTorch's rows, where there are any, tell what has changed about the machine itself.

    python benchmarks/compare.py A.json B.json
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness

NAMES = ("name", "kernel", "implementation", "device", "pass", "shape", "grows")
MACHINE = ("cpu", "cores", "threads", "blas", "gpu", "versions")

Row = dict[str, Any]
Key = tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs=2, type=Path, metavar="F", help="what benchmarks wrote with --json")
    contents = [json.loads(path.read_text()) for path in parser.parse_args().files]
    for warning in differences(*(content["machine"] for content in contents)):
        print(f"WARNING, the machines differ: {warning}")
    before, after = (dict(entries(content["rows"])) for content in contents)
    if not before.keys() & after.keys():
        raise SystemExit("the files have no row in common")
    rows = compare(before, after)
    harness.show(rows, "Time of B / time of A", ("what", "A ms", "B ms", "ratio", "range"))
    print()
    harness.show(means(rows), "Geometric means", ("kernel", "rows", "ratio"))
    for letter, only in (("A", before.keys() - after.keys()), ("B", after.keys() - before.keys())):
        if only:
            print(f"\nOnly in {letter}: " + "; ".join(sorted(", ".join(key) for key in only)))


def entries(rows: list[Row]) -> Iterator[tuple[Key, tuple[float, list[float]]]]:
    """Yield what each row is about, and its time with the quartiles."""
    for row in rows:
        time = "" if "ms" in row else "minigen_"
        if f"{time}ms" in row:  # a breakdown has none
            key = tuple(str(row[name]) for name in NAMES if name in row)
            yield key, (row[f"{time}ms"], row[f"{time}quartiles"])


def compare(before: dict[Key, Any], after: dict[Key, Any]) -> list[Row]:
    """Return a row for all that both files have, sorted by the ratio."""
    rows = []
    for key in before.keys() & after.keys():
        (old, (old_low, old_high)), (new, (new_low, new_high)) = before[key], after[key]
        low, high = new_low / old_high, new_high / old_low
        rows.append(
            {"what": ", ".join(key), "A ms": old, "B ms": new, "ratio": new / old, "range": f"{low:.3g}-{high:.3g}"}
            | {"kernel": ", ".join(key[:3]) if len(key) > 1 else "all"}
        )
    return sorted(rows, key=lambda row: (row["ratio"], row["what"]))


def means(rows: list[Row]) -> list[Row]:
    """Return the geometric mean of the ratios of each kernel, implementation and device."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["kernel"], []).append(row["ratio"])
    return [
        {"kernel": kernel, "rows": len(ratios), "ratio": harness.geometric_mean(ratios)}
        for kernel, ratios in sorted(found.items())
    ]


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return in words what is not the same of two machines: minigen's own version may differ."""
    found = []
    for name in MACHINE:
        old, new = before.get(name), after.get(name)
        if name == "versions":
            old, new = (
                {key: value for key, value in versions.items() if key != "minigen"}
                for versions in (old or {}, new or {})
            )
        if old != new:
            found.append(f"{name} {old} and {new}")
    return found


if __name__ == "__main__":
    main()
