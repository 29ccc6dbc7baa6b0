"""The pages' code runs: blocks marked python, from top to bottom, in one namespace to a page."""

import doctest
import importlib.util
import operator
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scipy.special
from ops import cases

from minigen import ops
from minigen.engine import Primitive
from minigen.testing import gradcheck

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted(
        set((ROOT / "docs").glob("*.md")) - {ROOT / "docs" / name for name in ("figures.md", "functions.md", "data.md")}
    ),
]


@pytest.fixture(autouse=True)
def registry_and_cases_as_before():
    registry, count = dict(Primitive.registry), len(cases.CASES)
    yield
    Primitive.registry.clear()
    Primitive.registry.update(registry)
    del cases.CASES[count:]


def run_page(page: Path) -> int:
    """Run a page's blocks, those with prompts as doctests; return how many there were."""
    text = page.read_text()
    namespace = {"__name__": page.stem}
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    for block in blocks:
        code, line = block[1], text.count("\n", 0, block.start(1))
        if code.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(code, {}, page.name, str(page), line)
            test.globs = namespace
            runner = doctest.DebugRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            try:
                runner.run(test, clear_globs=False)
            except doctest.DocTestFailure as failure:
                lineno = line + failure.example.lineno + 1
                pytest.fail(
                    f"{page.name}:{lineno}: {failure.example.source}expected {failure.example.want}got {failure.got}"
                )
        else:
            flags = getattr(namespace.get("annotations"), "compiler_flag", 0)  # a __future__ import holds for the page
            exec(compile("\n" * line + code, str(page), "exec", flags), namespace)
    return len(blocks)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # for the files that a page writes
    assert run_page(page) > 0


def test_the_page_on_operations_adds_cases_that_pass():
    count = len(cases.CASES)
    assert run_page(next(page for page in PAGES if page.name == "add-an-op.md")) >= 8
    added = cases.CASES[count:]
    assert {case.name for case in added} == {"log_cosh", "log_cosh_backward"}
    for case in added:
        gradcheck(lambda *x, case=case: case.outputs(x), case.floats, name=str(case))


def test_the_readme_lists_every_lesson_with_its_time():
    rows = re.findall(
        r"^\| `(\w+)\.py` \| (.+) \| ([\d.]+ (?:s|min)) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert {name for name, _, _ in rows} == {path.stem for path in (ROOT / "examples").glob("*.py")}


@pytest.fixture(scope="module")
def functions() -> ModuleType:
    """The module that writes the page of functions."""
    spec = importlib.util.spec_from_file_location("make_functions", ROOT / "docs" / "make_functions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_functions_is_up_to_date(functions: ModuleType):
    assert functions.PAGE.read_text() == functions.page(), "run: python docs/make_functions.py"


def test_the_page_of_functions_has_every_function_once(functions: ModuleType):
    listed = re.findall(r"^\| `(\w+)\(.*\)` \| (?:`[\w.]+`|—) \| [A-Z].*[.:;] \|$", functions.page(), re.MULTILINE)
    assert sorted(listed) == sorted(ops.__all__)


def test_the_twins_of_functions_are_there(functions: ModuleType):
    assert set(functions.TWINS) <= set(ops.__all__)
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    spaces = {"np": np, "scipy": scipy, "torch": torch, "F": torch.nn.functional}
    for name in ops.__all__:
        twin = functions.twin_of(name)
        if twin:
            space, _, path = twin.partition(".")
            assert callable(operator.attrgetter(path)(spaces[space])), twin


def test_the_links_of_the_pages_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"
