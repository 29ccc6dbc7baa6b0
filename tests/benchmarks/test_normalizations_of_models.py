"""The normalizations that are timed: that minigen's kernels, their references and PyTorch do the same work."""

import normalizations
import numpy as np
import pytest
from normalizations import EXPONENTIALS, PROBLEMS, REFERENCE, STEPS

from minigen import kernels


def summed(array, shape):
    """Sum over the axes along which a factor of this shape was broadcast, unless the kernel has done so."""
    return array if array.shape == shape else array.reshape(-1, *shape).sum(axis=0) if array.ndim else array


@pytest.mark.parametrize("problem", [problem.smaller for problem in PROBLEMS], ids=lambda problem: str(problem[:4]))
@pytest.mark.parametrize("layout", ["NCHW", "channels_last"])
def test_both_libraries_and_pytorch_agree(problem, layout):
    torch = pytest.importorskip("torch")
    arrays = normalizations.operands(problem)
    theirs = normalizations.torch_works(torch, problem, arrays, layout, "cpu")
    for library in (kernels, REFERENCE):
        ours = normalizations.works(problem, library, arrays)
        assert tuple(ours) == tuple(theirs) == STEPS
        for step in STEPS:
            found, wanted = ours[step](), theirs[step]()
            if problem.kernel in EXPONENTIALS:
                found, wanted = [found], [wanted]
            elif step == "forward":
                found, wanted = found[:1], wanted[:1]  # and not the moments, which they keep in different forms
            for i, (mine, its) in enumerate(zip(found, wanted, strict=True)):
                if i:
                    mine = summed(mine, arrays[3].shape).ravel()
                elif problem.pixels:
                    its = its.permute(0, 2, 3, 1)
                its = its.numpy().reshape(mine.shape)
                np.testing.assert_allclose(mine, its, rtol=1e-3, atol=1e-4 * np.abs(its).max())


def test_problems_are_told_apart():
    assert len({(problem.kernel, problem.shape) for problem in PROBLEMS}) == len(PROBLEMS)
