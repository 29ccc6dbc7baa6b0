"""What tests of tiny autoregressive models share: all examples there are, and random weights in float64."""

import itertools

import numpy as np

from minigen.backend import to_device


def all_examples(size, levels):
    """Return every array of that shape with values 0, ..., levels - 1: (levels^D, *size)."""
    every = itertools.product(range(levels), repeat=int(np.prod(size)))
    return np.array(list(every), dtype=np.float64).reshape(-1, *size)


def with_random_weights(model, seed, scale=1.0):
    """Give every parameter normal values in float64; buffers of floats become float64 too. Return the model."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data = to_device(scale * rng.standard_normal(parameter.shape), parameter.device)
    for part in model.named_modules().values():
        for buffer in part.named_buffers().values():
            if buffer.dtype.kind == "f":
                buffer.data = buffer.data.astype("float64")
    return model


def support(model, x):
    """Return which sites' parameters depend on which sites, (D, D), by the Jacobian at x, (1, *size): [i, j] is d parameters_i / d x_j."""
    import minigen as mg

    leaf = mg.Tensor(x, requires_grad=True)
    parameters = model.predict(leaf)  # (1, *size, P)
    seen = []
    for site in range(model.sites):
        cotangent = np.zeros((model.sites, parameters.shape[-1]))
        cotangent[site] = np.random.default_rng(site).standard_normal(parameters.shape[-1])
        g = mg.grad(parameters, leaf, cotangent.reshape(parameters.shape), retain_graph=True).numpy()
        seen.append(g.reshape(-1) != 0)
    return np.array(seen)


def before(order):
    """Return which sites come before which, (D, D): [i, j] where j is visited before i."""
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    return place[:, None] > place


def conditionals_of_the_stepper(model, x):
    """Return log p(x), (N,), gathered site by site from the model's own stepper."""
    flat, stepper = x.reshape(len(x), -1), model.stepper(len(x))
    total = np.zeros(len(x))
    known = np.full_like(flat, 0)
    for i, site in enumerate(model.order):
        parameters = stepper.parameters(known, i)
        total += model.conditional.log_prob(parameters, flat[:, site])
        known[:, site] = flat[:, site]
    return total
