"""The command line of a lesson, which its settings describe."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from minigen.lessons.settings import Settings, read_number

S = TypeVar("S", bound=Settings)

CONFIG = (OmitArgPrefixes, FlagCreatePairsOff)
_registry = ConstructorRegistry()


@_registry.primitive_rule
def _number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Read numbers by `read_number`."""
    kind = info.type
    if kind not in (int, float):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=lambda words: read_number(kind, words[0]),
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [f"{value:g}" if isinstance(value, float) else str(value)],
    )


def read_command_line(
    defaults: Callable[..., S], words: Sequence[str] | None = None, *, name: str = "run", description: str | None = None
) -> S:
    """Return the settings that a command line asks for.

    It is read twice. First only the options that `defaults` takes as arguments are looked for, which yields the defaults of all others; so
    `--data mnist --help` shows those of MNIST.

    Args:
        defaults: a settings class; or a function that returns settings, given the options on which other defaults depend, such as `data`.
        words: of the command line; None for this program's.
        name: of the program; its results go to a folder of that name in `runs/` unless --out names another.
        description: stands above the options in `--help`.

    Raises:
        SystemExit: 2 after a sentence on what is wrong, or 0 after `--help`.

    Example:
        >>> from minigen.lessons.settings import TrainingSettings
        >>> read_command_line(TrainingSettings, ["--steps", "5", "--no-plots"]).steps
        5
    """
    words = list(sys.argv[1:] if words is None else words)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal may not know a letter of the help
    default = _defaults(defaults, words)
    if description and {"-h", "--help"} & set(words):
        print(description)  # as it stands; tyro would break its lines anew
    default = replace(default, run=replace(default.run, out=Path("runs") / name))
    return tyro.cli(type(default), default=default, args=words, description="", config=CONFIG, registry=_registry)


def _defaults(defaults: Callable[..., S], words: list[str]) -> S:
    """Return the settings that hold where the command line says nothing else."""
    if isinstance(defaults, type):
        return defaults()
    try:
        found, _ = tyro.cli(
            defaults, args=words, return_unknown_args=True, add_help=False, config=CONFIG, registry=_registry
        )
    except ValueError:
        return defaults()  # the second reading will meet the same mistake, and print it
    # A flag that is set in a default could not be set again.
    flags: Any = {field.name: False for field in fields(found) if isinstance(getattr(found, field.name), bool)}
    return replace(found, **flags)
