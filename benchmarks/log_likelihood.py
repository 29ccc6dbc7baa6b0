"""How fast L_k is estimated, and how long it takes for MNIST's test set.

`metrics.importance_log_likelihood` of the network of Burda et al. 2016, 784-200-200-50 with tanh and Bernoulli pixels, on random bits,
against the same in PyTorch: encode once, then draw, decode and sum in chunks of equal size. What the network has learnt costs nothing, so
it has learnt nothing.

    draws_per_second    images times draws of each
    gflops              those of the decoder's products, 0.414 MFLOP a draw; all else is overhead
    peak_share          of what a product of 2048 x 2048 reaches with as many threads
    minutes             for 10,000 images and k = 5000, at this speed

    python benchmarks/log_likelihood.py [--threads 2] [--quick] [--json F] [--plot F]
"""

import math
from typing import Any

import harness
import numpy as np

from minigen.metrics import importance_log_likelihood
from minigen.metrics.likelihood import DECODED, LEAST_IMAGES
from minigen.models import VAE, mlp_vae
from minigen.random import Generator

SIZE, HIDDEN, LATENT = (28, 28, 1), (200, 200), 50
OPERATIONS = 2 * (LATENT * 200 + 200 * 200 + 200 * 784)
SAMPLES, SQUARE = 640, 2048
TEST_IMAGES, TEST_SAMPLES = 10_000, 5000


def main() -> None:
    options = harness.arguments(__doc__)
    torch = harness.torch()
    samples, square = (10, 256) if options.quick else (SAMPLES, SQUARE)
    vae, x = model(), images()
    a, b = np.random.default_rng(0).standard_normal((2, square, square), dtype=np.float32)
    rng = Generator(0)
    works: dict[str, harness.Work] = {
        "peak": lambda: a @ b,
        "minigen": lambda: importance_log_likelihood(vae, x, samples=samples, rng=rng),
    }
    if torch:
        torch.set_num_threads(options.threads)
        works["torch"] = lambda: torch_log_likelihood(torch, vae, x, samples)
    times = harness.milliseconds(works, options.effort)

    peak = 2 * square**3 / float(np.median(times["peak"])) / 1e6
    per_second = len(x) * samples / (float(np.median(times["minigen"])) / 1e3)
    figures = {
        "draws_per_second": per_second,
        "gflops": per_second * OPERATIONS / 1e9,
        "peak_share": per_second * OPERATIONS / 1e9 / peak,
        "minutes": TEST_IMAGES * TEST_SAMPLES / per_second / 60,
        "peak_gflops": peak,
    }
    if torch:
        speed = len(x) * samples / (float(np.median(times["torch"])) / 1e3)
        figures["torch_minutes"] = TEST_IMAGES * TEST_SAMPLES / speed / 60
    more = {name: harness.rounded(value) for name, value in figures.items()}
    rows = [harness.row(f"L_k of 784-200-200-50, {len(x)} x {samples}", times["minigen"], times.get("torch"), **more)]
    harness.finish(
        rows, options, "Importance-sampled log-likelihood", ("name", "minigen_ms", "torch_ms", "ratio", *more)
    )


def model() -> VAE:
    return mlp_vae(size=SIZE, hidden=HIDDEN, latent=LATENT, rng=Generator(0))


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (LEAST_IMAGES, *SIZE)).astype(np.float32)


# ------------------------------------------------------------------------------------------------------ PyTorch


def torch_log_likelihood(torch: Any, vae: VAE, x: np.ndarray, samples: int) -> Any:
    """Return L_k of each image, (N,)."""
    at_a_time = DECODED // len(x)
    with torch.no_grad():
        pixels = torch.from_numpy(x).flatten(1)
        parameters = torch_network(torch, vae.encoder, pixels)
        total = torch.full((len(x),), -math.inf, dtype=torch.float64)
        for done in range(0, samples, at_a_time):
            noise = torch.randn(min(at_a_time, samples - done), len(x), LATENT)
            log_w = torch_log_weights(torch, vae, pixels, parameters, noise)
            total = torch.logaddexp(total, torch.logsumexp(log_w.double(), dim=0))
        return total - math.log(samples)


def torch_log_weights(torch: Any, vae: VAE, pixels: Any, parameters: Any, noise: Any) -> Any:
    """Return log w, (k, N), by bits (N, 784), the numbers of q(z|x), (N, 100), and noise, (k, N, 50)."""
    mean, log_variance = parameters.split(LATENT, dim=1)
    z = mean + torch.exp(0.5 * log_variance) * noise
    logits = torch_network(torch, vae.decoder, z.flatten(0, 1)).unflatten(0, z.shape[:2])
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, pixels.expand(logits.shape), reduction="none"
    )
    log_prior_over_q = 0.5 * (noise.square().sum(dim=2) - z.square().sum(dim=2) + log_variance.sum(dim=1))
    return log_prior_over_q - cross_entropy.sum(dim=2)


def torch_network(torch: Any, network: Any, x: Any) -> Any:
    """Apply the linear layers, with tanh between them, by the same weights."""
    layers = [layer for layer in network if hasattr(layer, "weight")]
    for layer in layers:
        x = torch.addmm(torch.from_numpy(layer.bias.data), x, torch.from_numpy(layer.weight.data))
        x = x if layer is layers[-1] else torch.tanh(x)
    return x


if __name__ == "__main__":
    main()
