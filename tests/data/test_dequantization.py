"""Noise between grey levels: levels are kept, the noise is uniform, fresh in every batch, and a resumed sequence goes on."""

import numpy as np

from minigen.data import DequantizedBatches, Images, dequantize, load_digits
from minigen.random import Generator


def test_each_pixel_stays_within_the_share_of_its_level():
    for levels in (2, 17, 256):
        pixels = np.random.default_rng(0).integers(0, levels, (50, 8, 8, 1)).astype(np.uint8)
        x = dequantize(Images("noise", pixels, np.zeros(50, int), ("a",), levels), rng=Generator(0))
        assert x.dtype == np.float32
        place = x.astype(float) * levels - pixels  # u
        assert -1e-4 < place.min() < 0.01
        assert 0.99 < place.max() < 1 + 1e-4
        np.testing.assert_allclose([place.mean(), place.var()], [1 / 2, 1 / 12], atol=0.02)


def test_batches_have_fresh_noise_on_the_same_images():
    digits = load_digits()
    digits = digits._replace(images=digits.images[:8])
    batches = DequantizedBatches(digits, batch_size=8, rng=Generator(0))
    one, other = next(batches), next(batches)
    assert one.shape == (8, 8, 8, 1)
    by_level = [sorted(map(bytes, np.floor(17 * x).astype(np.uint8))) for x in (one, other)]
    assert by_level[0] == by_level[1] == sorted(map(bytes, digits.images))
    assert not np.intersect1d(one, other).size > 5


def test_a_restored_state_gives_the_same_batches():
    rng = Generator(3)
    batches = DequantizedBatches(load_digits(), batch_size=100, rng=rng)
    next(batches)
    states = batches.state(), rng.state()
    expected = [next(batches) for _ in range(20)]
    batches.load_state(states[0])
    rng.load_state(states[1])
    for batch in expected:
        np.testing.assert_array_equal(next(batches), batch)
