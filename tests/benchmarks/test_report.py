"""The page of figures: up to date, one number in a cell, every value from a file; rows of trainings that are added."""

import json
import re

import pytest
import report
from figures import SECTIONS, Figure, entry, trained
from results import Results, Source, options

FIGURES = [figure for section in SECTIONS for figure in section.figures]


def test_the_page_is_up_to_date():
    assert report.PAGE.read_text() == report.page(Results()), "run: python benchmarks/report.py"


def test_each_cell_of_a_figure_holds_one_number():
    results = Results()
    for figure in FIGURES:
        _, obtained, aim, met, reference, *_ = report.cells(figure, results, [])
        assert re.fullmatch(r"-?[\d,]+(\.\d+)?", obtained)
        assert re.fullmatch(r"([≤≥] [\d,]+(\.\d+)?)?", aim)
        assert met in (("✓", "✗") if aim else ("",))
        assert re.fullmatch(r"([\d,]+(\.\d+)?)?", reference)
        assert bool(figure.source) == (figure.reference is not None)


def test_every_command_is_of_a_program_that_is_there():
    for figure in FIGURES:
        program = report.PAGE.parents[1] / figure.command.split()[1]
        assert program.is_file(), figure.command


@pytest.mark.parametrize(
    ("value", "bounds", "met"),
    [(0.5, {"at_most": 0.5}, "✓"), (0.51, {"at_most": 0.5}, "✗"), (3, {"at_least": 3}, "✓"), (2, {"at_least": 3}, "✗"), (9, {}, "")],
)  # fmt: skip
def test_an_aim_that_is_missed_stays_and_is_marked(value, bounds, met):
    figure = Figure(
        "what",
        lambda results: Source(value, {"cpu": "x", "cores": 2, "threads": 1, "versions": {}, "date": "d"}),
        "c",
        **bounds,
    )
    assert report.cells(figure, Results(), [])[3] == met


def folder_of_a_run(tmp_path, **metrics):
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path


@pytest.fixture
def trainings(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    path = folder / "papers-cpu.json"
    path.write_text(json.dumps({"machine": {"cpu": "old"}, "rows": []}))
    return path


def test_a_run_becomes_a_row_that_figures_read(tmp_path, trainings):
    run = folder_of_a_run(tmp_path, command="python examples/vae.py --k 5 --seed 1", seed=1, nats={"test": [1.0, 3.0]})
    report.add(run, trainings, {"cpu": "new"})
    folder_of_a_run(tmp_path, command="python examples/vae.py --k 5", seed=0, nats={"test": [2.0, 8.0]})
    report.add(run, trainings, {"cpu": "new"})
    (first, second) = json.loads(trainings.read_text())["rows"]
    assert (first["name"], first["seed"], first["machine"]) == ("vae --k 5 --seed 1", 1, {"cpu": "new"})
    found = trained("python examples/vae.py --k 5", "nats/test/mean", sign=-1)(Results(trainings.parent))
    assert found == Source(-5.0, {"cpu": "new"})
    assert entry(second["metrics"], "seed") == 0

    # The same run again takes the place of its row.
    folder_of_a_run(tmp_path, command="python examples/vae.py --k 5", seed=0, nats={"test": [0.0, 0.0]})
    report.add(run, trainings, {"cpu": "newer"})
    rows = json.loads(trainings.read_text())["rows"]
    assert [row["machine"]["cpu"] for row in rows] == ["new", "newer"]


def test_a_run_that_does_not_say_its_command_is_refused(tmp_path, trainings):
    before = trainings.read_text()
    with pytest.raises(ValueError, match="does not say which command it is from"):
        report.add(folder_of_a_run(tmp_path, seed=0), trainings, {})
    with pytest.raises(FileNotFoundError):
        report.add(tmp_path / "none", trainings, {})
    assert trainings.read_text() == before


def test_a_figure_without_a_row_says_how_to_get_one(trainings):
    with pytest.raises(LookupError, match=r"report\.py --add"):
        trained("python examples/vae.py --k 7", "seed")(Results(trainings.parent))


def test_commands_are_the_same_in_any_order_of_options():
    assert options("python examples/x.py --a 1 2 --b") == options("python examples/x.py --b --a 1 2 --seed 4")
    assert options("python examples/x.py --a 1 2") != options("python examples/x.py --a 2 1")
    assert options("python examples/x.py") != options("python examples/y.py")
