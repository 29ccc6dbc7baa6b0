"""Models side by side: what each takes of a batch. That each learns as it would alone is tested with the conditional VAE."""

import numpy as np

from minigen.models import Together, mlp_vae, posterior_table
from minigen.random import Generator


def test_each_may_take_a_part_of_its_own():
    family = {"latent": 2, "rng": Generator(0)}
    encoder = mlp_vae(size=(4, 4, 1), hidden=(8,), **family)
    table = mlp_vae(size=(4, 4, 1), hidden=(8,), **family)
    table.encoder = posterior_table(5, **family)
    images = np.random.default_rng(0).integers(0, 2, (3, 4, 4, 1)).astype(np.float32)
    numbers = np.array([4, 0, 2])
    both = Together(encoder=encoder, table=table)
    loss, terms = both.loss({"table": (images, numbers), "encoder": images}, rng=Generator(1))
    rng = Generator(1)
    first, _ = encoder.loss(images, rng=rng)
    second, _ = table.loss((images, numbers), rng=rng)
    assert loss.item() == (first + second).item()
    assert {"encoder_elbo", "table_elbo"} <= terms.keys()
