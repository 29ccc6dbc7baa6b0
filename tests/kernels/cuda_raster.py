"""The CUDA kernel of the walk against the reference in float64: comparisons of `cuda_simulator.py`, which take the array module.

In the simulator the module is the double of CuPy, which counts what crosses between host and device.
"""

from functools import partial

import numpy as np
from cuda_convolution import launches
from raster_networks import three_lstms, two_stacks, walked, with_arrays

from minigen.kernels.raster import cuda as raster
from minigen.kernels.raster import reference

CASES = {"two stacks": (two_stacks, (4, 2, 1)), "three LSTMs, two colours": (three_lstms, (2, 2, 2))}


def walk_follows_the_reference(xp, name):
    """And a row takes one launch, as a colour at a pixel does, however many layers there are."""
    make, (height, width, colours) = CASES[name]
    rng, n = np.random.default_rng(0), 2
    network, image = make(rng, n, colours, 1, np.float32), rng.standard_normal((n, height, width, colours))
    exact = reference.Walk(with_arrays(network, np.float64), n=n, width=width)
    walk = raster.Walk(with_arrays(network, xp.asarray), n=n, width=width)
    with launches() as recorded:
        found = walked(walk, xp.asarray(image.astype(np.float32)))
    np.testing.assert_allclose(found, walked(exact, image), rtol=1e-5, atol=2e-6)
    assert [kernel for kernel, _ in recorded] == ["_walk"] * (height + height * width * colours)


WALK = {f"walk_follows_the_reference {name}": partial(walk_follows_the_reference, name=name) for name in CASES}


def a_walk_waits_for_nothing():
    """On the double of CuPy."""
    from doubles.strict_cupy import counting, cupy

    network = with_arrays(three_lstms(np.random.default_rng(0), 1, 1, 1, np.float32), cupy.asarray)
    walk, drawn = raster.Walk(network, n=1, width=1), cupy.ones(1, "float32")
    with counting() as transfers:
        for row in range(2):
            walk.row(row)
            walk.parameters(row, 0, 0)
            walk.put(row, 0, 0, drawn)
    assert (transfers.to_host, transfers.to_device) == ([], [])
