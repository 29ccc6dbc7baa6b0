"""Comparing two files of results: matching rows, ratios, ranges, means, warnings."""

import json
import sys

import compare
import pytest

MACHINE = {"cpu": "X", "cores": 2, "threads": 2, "blas": [], "gpu": None, "versions": {"numpy": "2", "minigen": "1"}}


def row(kernel, implementation, ms, *, shape="s", quartiles=None):
    labels = {"kernel": kernel, "pass": "forward", "shape": shape, "implementation": implementation, "device": "cpu"}
    return labels | {"ms": ms, "quartiles": quartiles or [ms, ms]}


def run(monkeypatch, tmp_path, *contents):
    paths = [tmp_path / name for name in ("A.json", "B.json")]
    for path, (machine, rows) in zip(paths, contents, strict=True):
        path.write_text(json.dumps({"machine": machine, "rows": rows}))
    monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, paths)])
    compare.main()


def compared(before, after):
    return compare.compare(dict(compare.entries(before)), dict(compare.entries(after)))


def test_ratios_are_of_b_to_a_with_the_widest_range_of_the_quartiles_and_sorted():
    before = [row("f", "numba", 2.0, quartiles=[1.0, 4.0]), row("g", "numba", 1.0)]
    after = [row("g", "numba", 0.5), row("f", "numba", 3.0, quartiles=[2.0, 5.0])]
    found = compared(before, after)
    assert [(line["what"], line["ratio"]) for line in found] == [
        ("g, numba, cpu, forward, s", 0.5),
        ("f, numba, cpu, forward, s", 1.5),
    ]
    assert found[1]["range"] == "0.5-5"  # 2 / 4 and 5 / 1


def test_means_are_geometric_and_of_each_kernel_and_implementation():
    before = [row("f", "numba", 1.0, shape=shape) for shape in "ab"] + [row("f", "torch", 1.0)]
    after = [row("f", "numba", 4.0, shape="a"), row("f", "numba", 0.25, shape="b"), row("f", "torch", 3.0)]
    found = {line["kernel"]: (line["rows"], line["ratio"]) for line in compare.means(compared(before, after))}
    assert found == {"f, numba, cpu": (2, pytest.approx(1.0)), "f, torch, cpu": (1, pytest.approx(3.0))}


def test_rows_that_have_a_name_only_are_compared_too():
    rows = [{"name": "step", "minigen_ms": 2.0, "minigen_quartiles": [2.0, 2.0]}, {"name": "share", "microseconds": 1}]
    assert [(line["what"], line["ratio"]) for line in compared(rows, rows)] == [("step", 1.0)]


def test_a_file_equals_itself_without_a_warning(monkeypatch, tmp_path, capsys):
    content = MACHINE, [row("f", "numba", 2.0)]
    run(monkeypatch, tmp_path, content, (MACHINE | {"versions": {"numpy": "2", "minigen": "9"}}, content[1]))
    said = capsys.readouterr().out
    assert "WARNING" not in said
    assert "Only in" not in said


def test_machines_that_differ_and_rows_that_one_file_lacks_are_named(monkeypatch, tmp_path, capsys):
    before, after = [row("f", "numba", 2.0), row("g", "numba", 1.0)], [row("f", "numba", 2.0)]
    run(monkeypatch, tmp_path, (MACHINE, before), (MACHINE | {"threads": 1, "cpu": "Y"}, after))
    said = capsys.readouterr().out
    assert "machines differ: threads 2 and 1" in said
    assert "machines differ: cpu X and Y" in said
    assert "Only in A: g, numba, cpu, forward, s" in said


def test_files_without_a_common_row_are_refused(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="no row in common"):
        run(monkeypatch, tmp_path, (MACHINE, [row("f", "numba", 1.0)]), (MACHINE, [row("g", "numba", 1.0)]))
