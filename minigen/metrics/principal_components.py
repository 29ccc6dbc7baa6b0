"""Principal components, plain and probabilistic: the exact answers that linear autoencoders and linear VAEs are measured against.

N images as vectors x of D pixels have the mean m and the covariance S = 1/N sum (x - m)(x - m)^T = U Lambda U^T, its eigenvalues falling.
With the first k eigenvectors U_k, the projection x' = m + U_k U_k^T (x - m) has the least mean squared error of all maps through k
numbers that are linear (Eckart & Young 1936; Baldi & Hornik 1989 for autoencoders), and on the data it is the sum of what is left out:

    mean |x - x'|^2 = lambda_k+1 + ... + lambda_D

*Probabilistic* PCA (Tipping & Bishop 1999, "Probabilistic principal component analysis") is the linear Gaussian latent-variable model

    z ~ N(0, I_k),  x|z ~ N(W z + m, s^2 I)     so     x ~ N(m, C),  C = W W^T + s^2 I                          equations 1 to 4
    W = U_k (Lambda_k - s^2 I)^1/2,   s^2 = (lambda_k+1 + ... + lambda_D) / (D - k)      the maximum likelihood   equations 7 and 8
    p(z|x) = N(M^-1 W^T (x - m), s^2 M^-1),   M = W^T W + s^2 I                                                  equation 6

A linear VAE is the same model with q(z|x) in place of p(z|x). Its covariance can be diagonal, since the columns of this W are orthogonal
and M is diagonal: so at the optimum the ELBO *is* log p(x) (Lucas et al. 2019, "Don't blame the ELBO!", section 4).

Everything is computed in float64, by the eigenvectors of S, (D, D): the cost is N D^2 + D^3, some seconds for 60,000 images of 784 pixels.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Doubles = NDArray[np.float64]


class PCA(NamedTuple):
    """The first k principal components of data of D dimensions.

    Attributes:
        mean: m, (D,).
        components: the rows of U_k^T, of length 1 and at right angles, (k, D), by falling variance; their signs make the largest entry of
            each positive.
        variances: all eigenvalues of S, (D,), falling; in squared units of x.
    """

    mean: Doubles
    components: Doubles
    variances: Doubles

    def project(self, x: ArrayLike) -> Doubles:
        """Return the codes U_k^T (x - m), (N, ...) -> (N, k)."""
        return (_rows(x, self.mean.size, "PCA.project") - self.mean) @ self.components.T

    def reconstruct(self, codes: ArrayLike) -> Doubles:
        """Return m + U_k z, (N, k) -> (N, D)."""
        return self.mean + np.asarray(codes, dtype=np.float64) @ self.components

    def reconstruction_error(self, x: ArrayLike) -> float:
        """Return |x - x'|^2, summed over an example's D numbers, averaged over the examples (N, ...)."""
        rows = _rows(x, self.mean.size, "PCA.reconstruction_error")
        residual = rows - self.reconstruct(self.project(rows))
        return float(np.einsum("nd,nd->", residual, residual) / len(rows))

    def largest_angle(self, directions: ArrayLike) -> float:
        """Return the largest angle between the span of the components and that of other directions, in degrees.

        Args:
            directions: k vectors, (k, ...) with D numbers each, of any lengths and angles, such as a linear decoder's weights.

        Raises:
            ValueError: directions of another number of dimensions, or none, or not finite.

        Example:
            >>> plane = pca(np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, -0.5, 0.0]]), 2)
            >>> round(plane.largest_angle([[2.0, 0.0, 0.0], [0.0, 1.0, 1.0]]), 6)  # of which the first is in the plane
            45.0
        """
        rows = _rows(directions, self.mean.size, "PCA.largest_angle")
        basis = np.linalg.qr(rows.T)[0]  # (D, k): the columns span the same plane
        cosines = np.linalg.svd(self.components @ basis, compute_uv=False)
        return float(np.degrees(np.arccos(np.clip(cosines.min(), 0, 1))))


class ProbabilisticPCA(NamedTuple):
    """The maximum-likelihood model x ~ N(m, W W^T + s^2 I).

    Attributes:
        mean: m, (D,).
        weight: W, (D, k); its columns are at right angles.
        variance: s^2.
    """

    mean: Doubles
    weight: Doubles
    variance: float

    def log_likelihood(self, x: ArrayLike) -> Doubles:
        """Return log p(x) in nats of each example, (N, ...) -> (N,), exactly.

        With M = W^T W + s^2 I of size k, no matrix of size D is needed (Woodbury's identity, and its determinant's):

            |x - m|^2_C = (|x - m|^2 - |W^T (x - m)|^2_M) / s^2,       log det C = log det M + (D - k) log s^2
        """
        (D, k), s2 = self.weight.shape, self.variance
        centred = _rows(x, D, "ProbabilisticPCA.log_likelihood") - self.mean  # (N, D)
        along = centred @ self.weight  # (N, k)
        M = self.weight.T @ self.weight + s2 * np.eye(k)
        distance = np.einsum("nd,nd->n", centred, centred) - np.einsum("nk,nk->n", along, np.linalg.solve(M, along.T).T)
        log_determinant = np.linalg.slogdet(M)[1] + (D - k) * math.log(s2)
        return -0.5 * (distance / s2 + log_determinant + D * math.log(2 * math.pi))

    def posterior(self, x: ArrayLike) -> tuple[Doubles, Doubles]:
        """Return the mean, (N, k), and the covariance, (k, k) for all x, of p(z|x)."""
        centred = _rows(x, len(self.mean), "ProbabilisticPCA.posterior") - self.mean
        M = self.weight.T @ self.weight + self.variance * np.eye(self.weight.shape[1])
        inverse = np.asarray(np.linalg.inv(M), dtype=np.float64)
        return centred @ self.weight @ inverse, self.variance * inverse


def pca(data: ArrayLike, components: int) -> PCA:
    """Find the principal components of data, exactly.

    Args:
        data: (N, ...), N examples of D numbers.
        components: k, from 1 to D.

    Returns:
        The mean, the k components, and the variances along all D.

    Raises:
        ValueError: k out of range, or data empty or not finite.

    Example:
        >>> flat = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])  # points on a line
        >>> fitted = pca(flat, 1)
        >>> fitted.components.round(3), round(fitted.reconstruction_error(flat), 12)
        (array([[0.447, 0.894]]), 0.0)
    """
    rows = _rows(data, None, "pca")
    n, dimensions = rows.shape
    if not 1 <= components <= dimensions:
        raise ValueError(f"pca: components = {components}, expected from 1 to the {dimensions} dimensions of the data")
    mean = rows.mean(axis=0)
    centred = rows - mean
    variances, vectors = np.linalg.eigh(centred.T @ centred / n)  # rising
    kept = vectors[:, : -components - 1 : -1].T  # (k, D)
    largest = np.abs(kept).argmax(axis=1)
    kept = kept * np.sign(kept[np.arange(components), largest])[:, None]
    return PCA(mean, kept, np.maximum(variances[::-1], 0.0))


def probabilistic_pca(data: ArrayLike, components: int) -> ProbabilisticPCA:
    """Fit probabilistic PCA to data by its closed form.

    Args:
        data: (N, ...), N examples of D numbers.
        components: k, from 1 to D - 1.

    Raises:
        ValueError: k out of range, data empty or not finite, or nothing left outside the components: s^2 = 0, a density without bound.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> data = rng.normal(size=(1000, 1)) @ [[3.0, 4.0]] + 0.1 * rng.normal(size=(1000, 2))
        >>> fitted = probabilistic_pca(data, 1)
        >>> np.abs(fitted.weight).round(1).ravel(), round(fitted.variance, 3)
        (array([2.9, 3.9]), 0.01)
    """
    found = pca(data, components)
    left = found.variances[components:]
    if left.size == 0 or left.mean() <= 1e-12 * found.variances[0]:
        raise ValueError(
            f"probabilistic_pca: {components} components leave no variance in {found.mean.size} dimensions for s^2; take fewer"
        )
    variance = float(left.mean())
    weight = found.components.T * np.sqrt(found.variances[:components] - variance)  # (D, k)
    return ProbabilisticPCA(found.mean, weight, variance)


def _rows(x: Any, dimensions: int | None, owner: str) -> Doubles:
    """Return examples as rows, (N, ...) -> (N, D)."""
    array = np.asarray(x, dtype=np.float64)
    if array.ndim < 2 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{owner}: data of shape {array.shape}, expected finite numbers, (N, ...) with N examples")
    rows = array.reshape(len(array), -1)
    if dimensions is not None and rows.shape[1] != dimensions:
        raise ValueError(f"{owner}: examples of shape {array.shape[1:]} have {rows.shape[1]} numbers, not {dimensions}")
    return rows
