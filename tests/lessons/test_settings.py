"""Settings: the ranges of numbers, what a checkpoint keeps, values that may be missing."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import pytest

from minigen.lessons import (
    Count,
    NonNegative,
    OutputOptions,
    Positive,
    Range,
    Real,
    RunOptions,
    Settings,
    Share,
    TrainingSettings,
    Whole,
    optional,
)
from minigen.lessons.settings import Checked


@dataclass(frozen=True, kw_only=True)
class Numbers(Checked):
    count: Count = 1
    whole: Whole = 0
    rate: Positive = 1.0
    weight: NonNegative = 0.0
    share: Share = 0.5
    real: Real = -1.0
    two_units: tuple[Count, ...] = (1, 2)
    perhaps: Annotated[int | None, Range(3), *optional(int, "N")] = None


@pytest.mark.parametrize(
    ("name", "good", "bad", "words"),
    [
        ("count", (1, 10**9), (0, -1, math.nan, math.inf), "at least 1"),
        ("whole", (0, 7), (-1,), "at least 0"),
        ("rate", (1e-30, 1e30), (0.0, -1.0, math.nan, math.inf), "above 0"),
        ("weight", (0.0, 3.5), (-1e-9, math.nan, math.inf), "at least 0"),
        ("share", (0.0, 1.0), (-0.1, 1.1, math.nan), "from 0 to 1"),
        ("real", (-1e30, 0.0), (math.nan, math.inf, -math.inf), "finite"),
        ("two_units", ((), (5,)), ((5, 0),), "at least 1"),
        ("perhaps", (None, 3), (2,), "at least 3"),
    ],
)
def test_a_number_out_of_its_range_is_refused_by_the_name_of_its_option(name, good, bad, words):
    for value in good:
        assert getattr(Numbers(**{name: value}), name) == value
    for value in bad:
        wrong = value[-1] if isinstance(value, tuple) else value
        option = "--" + name.replace("_", "-")
        with pytest.raises(ValueError, match=f"^{option}: {wrong} must be {words}$"):
            Numbers(**{name: value})
        with pytest.raises(ValueError, match=option):
            replace(Numbers(), **{name: value})  # settings are checked however they are made


def test_a_word_that_is_not_among_the_choices_is_refused_however_settings_are_made():
    @dataclass(frozen=True)
    class Chosen(Checked):
        one: Literal["a", "b"] = "a"
        several: tuple[Literal["x", 3], ...] = ("x",)

    assert Chosen("b", (3, "x")).several == (3, "x")
    with pytest.raises(ValueError, match=r"^--one: c is not one of a, b$"):
        Chosen("c")
    with pytest.raises(ValueError, match=r"^--several: 4 is not one of x, 3$"):
        Chosen("a", ("x", 4))


def test_an_open_range_with_two_ends_says_both():
    assert str(Range(0, 1, is_open=True)) == "between 0 and 1"
    assert 0 not in Range(0, 1, is_open=True)
    assert 1 not in Range(0, 1, is_open=True)
    assert "1" not in Range(0)


def test_a_checkpoint_keeps_what_a_run_is_but_not_how_it_is_run():
    @dataclass(frozen=True, kw_only=True)
    class Sizes(TrainingSettings):
        hidden: tuple[Count, ...] = (8,)

    settings = Sizes(seed=3, steps=7, run=RunOptions(out=Path("elsewhere"), no_plots=True))
    assert settings.configuration() == {"seed": 3, "hidden": (8,)}  # the steps may grow
    assert Settings(run=OutputOptions(format="svg")).configuration() == {"seed": 0}


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="--device tpu: device 'tpu' is unknown"):
        RunOptions(device="tpu")
