"""Conventions of linear systems and decompositions: which triangle is read, equal eigenvalues, and matrices without a result."""

import numpy as np
import pytest

import minigen as mg

SYMMETRIC = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.7], [0.5, -0.7, 2.0]])
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def leaf(values, dtype="float64"):
    return mg.Tensor(np.array(values, dtype), requires_grad=True)


def weighted(array):
    """A sum with different weights, so that every element has a gradient of its own."""
    return mg.sum(array * np.cos(np.arange(1.0, array.size + 1)).reshape(array.shape).astype(array.dtype))


FACTORED = {
    "cholesky": (mg.cholesky, np.tril),
    "eigenvalues": (lambda a: mg.eigh(a)[0], np.tril),
    "eigenvectors": (lambda a: mg.eigh(a)[1] ** 2.0, np.tril),
    "eigenvalues, upper": (lambda a: mg.eigh(a, "U")[0], np.triu),
}


@pytest.mark.parametrize("name", FACTORED)
def test_one_triangle_is_read_and_gets_the_gradients_of_both(name, device):
    function, triangle = FACTORED[name]
    a = leaf(SYMMETRIC)
    there = lambda x: weighted(function(x.to(device)).to("cpu"))
    other = SYMMETRIC + (1 - triangle(np.ones((3, 3)))) * 100.0
    assert there(a).item() == there(mg.Tensor(other)).item()
    slope = mg.grad(there(a), a).data
    np.testing.assert_array_equal(slope, triangle(slope))
    # The derivative in a symmetric direction is the same, whichever way the gradient is shared out between the triangles.
    direction = np.array([[0.3, -1.0, 0.2], [-1.0, 0.5, 0.7], [0.2, 0.7, -0.4]])
    difference = [there(mg.Tensor(SYMMETRIC + step * direction)).item() for step in (1e-5, -1e-5)]
    assert np.sum(slope * direction) == pytest.approx((difference[0] - difference[1]) / 2e-5, rel=1e-6)


@pytest.mark.parametrize("name", ["cholesky", "eigh"])
def test_pytorch_shares_the_gradient_out_between_the_triangles(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours, theirs = leaf(SYMMETRIC), torch.tensor(SYMMETRIC, requires_grad=True)
    weights = np.array([[1.0, 0.0, 0.0], [-2.0, 3.0, 0.0], [0.5, 4.0, -1.0]])
    if name == "cholesky":
        value, other = mg.cholesky(ours), torch.linalg.cholesky(theirs)
    else:
        value, other = mg.eigh(ours)[1] ** 2.0, torch.linalg.eigh(theirs)[1] ** 2
    slope = mg.grad(mg.sum(value * weights), ours).data
    (shared,) = torch.autograd.grad((other * torch.tensor(weights)).sum(), theirs)
    np.testing.assert_allclose((slope + slope.T) / 2, (shared + shared.T) / 2, atol=1e-14)
    np.testing.assert_allclose(shared, shared.T, atol=1e-14)


def test_a_symmetric_matrix_that_was_computed_has_the_usual_gradient():
    """The sum of the logarithms of a Cholesky factor's diagonal is half the log-determinant of a = x x^T, whose gradient is a^-1 x."""
    x = leaf([[1.0, 0.3], [-0.4, 0.8]])
    half = mg.sum(mg.log(mg.diagonal(mg.cholesky(x @ x.T))))
    assert half.item() == pytest.approx(0.5 * mg.slogdet(x.data @ x.data.T)[1])
    np.testing.assert_allclose(mg.grad(half, x).data, np.linalg.inv(x.data).T, rtol=1e-13)


# ------------------------------------------------------------------------------------------------------ equal eigenvalues


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_eigenvalues_have_the_right_gradients(dtype, device):
    a = leaf(np.diag([2.0, 1.0, 2.0]), dtype)
    values, _ = mg.eigh(a.to(device))
    slope = mg.grad(mg.sum(values**3.0), a).data  # of trace(a^3), which is 3 a^2
    np.testing.assert_allclose(slope, np.diag([12.0, 3.0, 12.0]), atol=1e-5)
    recorded = mg.grad(mg.sum(mg.eigh(a.to(device))[0] ** 3.0), a, create_graph=True)
    np.testing.assert_allclose(recorded.data, slope, atol=1e-5)


def test_eigenvectors_of_equal_eigenvalues_have_no_gradient():
    a = leaf(np.diag([2.0, 1.0, 2.0]))
    with np.errstate(all="ignore"):
        slope = mg.grad(weighted(mg.eigh(a)[1] ** 2.0), a).data
    assert not np.isfinite(slope).all()


def test_eigenvectors_of_one_matrix_do_not_spoil_the_others_in_a_stack():
    a = leaf(np.stack([np.eye(3), SYMMETRIC]))
    with np.errstate(all="ignore"):
        slope = mg.grad(weighted(mg.eigh(a)[1] ** 2.0), a).data
    assert not np.isfinite(slope[0]).all()
    assert np.isfinite(slope[1]).all()


# ------------------------------------------------------------------------------------------------------ no result


def test_a_singular_matrix_has_the_determinant_zero_and_no_gradient(device):
    a = leaf(np.stack([SINGULAR, 2.0 * np.eye(2)]))
    sign, logarithm = mg.slogdet(a.to(device))
    np.testing.assert_array_equal(sign.to("cpu").data, [0.0, 1.0])
    np.testing.assert_allclose(logarithm.to("cpu").data, [-np.inf, 2.0 * np.log(2.0)])
    assert not sign.requires_grad
    slope = mg.grad(mg.sum(logarithm), a).data
    assert np.isnan(slope[0]).all()
    np.testing.assert_allclose(slope[1], 0.5 * np.eye(2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mg.solve(SINGULAR, np.ones(2)), r"^solve: a \(2, 2\) is singular$"),
        (lambda: mg.inv(SINGULAR), r"^inv: a \(2, 2\) is singular$"),
        (lambda: mg.inv(np.stack([np.eye(2), SINGULAR])), r"^inv: of the matrices a \(2, 2, 2\) at least one is singular$"),
        (lambda: mg.cholesky(-np.eye(2)), r"^cholesky: a \(2, 2\) is not positive definite$"),
    ],
)  # fmt: skip
def test_a_matrix_without_a_result_is_refused(call, message):
    with pytest.raises(np.linalg.LinAlgError, match=message):
        call()


@pytest.mark.parametrize("name", ["solve", "inv", "slogdet", "cholesky", "eigh"])
def test_matrices_that_are_not_square_and_half_precision_are_refused(name):
    function = (lambda a: mg.solve(a, np.ones(2))) if name == "solve" else getattr(mg, name)
    for shape in ((2, 3), (3,), ()):
        with pytest.raises(ValueError, match=rf"{name}: a has shape .*, expected square matrices, \(..., n, n\)$"):
            function(np.ones(shape))
    with pytest.raises(TypeError, match=rf"{name}: a is float16, .*; convert it by a.astype\('float32'\)$"):
        function(np.eye(2, dtype="float16"))


def test_settings_and_right_hand_sides_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"^solve: b has shape \(3,\), expected \(..., 2, k\), or \(2,\), for a"):
        mg.solve(np.eye(2), np.ones(3))
    with pytest.raises(TypeError, match=r"^solve: b is float16, "):
        mg.solve(np.eye(2), np.ones(2, "float16"))
    with pytest.raises(ValueError, match=r"^eigh: UPLO is 'X', expected 'L', .*, or 'U', "):
        mg.eigh(np.eye(2), "X")


def test_integers_are_computed_with_in_float64(device):
    a, b = np.array([[2, 1], [1, 3]]), np.array([1, 2])
    there = lambda x: mg.Tensor(x).to(device)
    for ours, theirs in (
        (mg.solve(there(a), there(b)), np.linalg.solve(a, b)),
        (mg.inv(there(a)), np.linalg.inv(a)),
        (mg.cholesky(there(a)), np.linalg.cholesky(a)),
        (mg.slogdet(there(a))[1], np.linalg.slogdet(a)[1]),
        (mg.eigh(there(a))[0], np.linalg.eigh(a)[0]),
    ):
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours.to("cpu").data, theirs, rtol=1e-14)


def test_one_matrix_is_factored_once_for_a_stack_of_right_hand_sides(monkeypatch):
    shapes = []
    library = np.linalg.solve
    monkeypatch.setattr(np.linalg, "solve", lambda a, b: shapes.append((a.shape, b.shape)) or library(a, b))
    a, b = np.random.default_rng(0).standard_normal((3, 3)), np.random.default_rng(1).standard_normal((5, 4, 3, 2))
    np.testing.assert_allclose(a @ mg.solve(a, b), b, atol=1e-12)
    assert shapes == [((3, 3), (3, 40))]
