"""The run folder: figures as JSON, whole or not at all; versions; tables."""

import json
import math
import platform

import numpy as np
import pytest

import minigen
from minigen.training import table, versions, write_metrics


def test_versions():
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert found["minigen"] == minigen.__version__
    assert json.loads(json.dumps(found)) == found


def test_metrics_come_back_exactly(tmp_path):
    metrics = {
        "loss": 0.1 + 0.2, "steps": 3, "name": "ring", "gap": None, "masses": [0.25, 1e-300], "nested": {"a": [1, {"b": True}]},
    }  # fmt: skip
    path = tmp_path / "new" / "metrics.json"
    write_metrics(path, metrics)
    assert json.loads(path.read_text()) == metrics
    assert list(json.loads(path.read_text())) == list(metrics)
    assert path.read_text().endswith("}\n")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_is_named_and_the_old_file_stays(tmp_path, bad):
    path = tmp_path / "metrics.json"
    write_metrics(path, {"loss": 1.0})
    with pytest.raises(ValueError, match=rf"write_metrics: loss is {bad}, gap is {bad}; JSON has no such number"):
        write_metrics(path, {"loss": bad, "steps": 3, "gap": bad})
    with pytest.raises(ValueError, match="JSON"):
        write_metrics(path, {"masses": [0.5, bad]})
    assert json.loads(path.read_text()) == {"loss": 1.0}


def test_a_table_is_aligned():
    assert table([("loss", "0.5"), ("a longer name", "12345")], "Figures").splitlines() == [
        "Figures",
        "---------------------",
        "loss              0.5",
        "a longer name   12345",
    ]
