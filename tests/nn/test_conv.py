"""Convolutional layers: what masked ones can see, initial weights, and bad settings."""

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.random import Generator

SIZE = 7


def seen_by(net, pixel, channels=1):
    """Which inputs the outputs at a pixel depend on, by their gradient: (H, W, C)."""
    x = mg.tensor(Generator(3).normal((1, SIZE, SIZE, channels)), requires_grad=True)
    y = net(x)
    picked = np.zeros(y.shape, np.float32)
    picked[0, pixel[0], pixel[1]] = 1.0
    return mg.grad(y, x, picked).data[0] != 0


def before(pixel):
    order = np.arange(SIZE * SIZE).reshape(SIZE, SIZE)
    return order < order[pixel]


def masked(ins, outs, kind, **options):
    return nn.MaskedConv2d(ins, outs, kernel_size=3, kind=kind, rng=Generator(0), **options)


@pytest.mark.parametrize("pixel", [(0, 0), (3, 3), (6, 6), (2, 6), (5, 0)])
def test_stacked_raster_masks_see_only_what_comes_before(pixel):
    net = nn.Sequential(masked(1, 8, "A"), nn.SiLU(), *(masked(8, 8, "B") for _ in range(4)))
    seen = seen_by(net, pixel)[:, :, 0]
    assert not (seen & ~before(pixel)).any()


def test_raster_masks_have_a_blind_spot_and_two_stacks_have_none():
    pixel = (5, 2)
    raster = nn.Sequential(masked(1, 8, "A"), *(masked(8, 8, "B") for _ in range(5)))
    missed = before(pixel) & ~seen_by(raster, pixel)[:, :, 0]
    assert missed[4, 4]  # to the right above: one row up, a 3x3 kernel looks one pixel to the right
    assert missed.any()

    class Stacks(nn.Module):
        def __init__(self):
            self.down = [masked(1, 8, "A", stack="vertical"), *(masked(8, 8, "B", stack="vertical") for _ in range(5))]
            self.along = [
                masked(1, 8, "A", stack="horizontal"),
                *(masked(8, 8, "B", stack="horizontal") for _ in range(5)),
            ]

        def forward(self, x):
            v, h = self.down[0](x), self.along[0](x)
            h = h + v
            for down, along in zip(self.down[1:], self.along[1:], strict=True):
                v = down(v)
                h = along(h) + v
            return h

    seen = seen_by(Stacks(), pixel)[:, :, 0]
    np.testing.assert_array_equal(seen[:5], before(pixel)[:5])  # all rows above, whole
    np.testing.assert_array_equal(seen, before(pixel))


def test_colours_are_seen_in_their_order():
    net = nn.Sequential(
        masked(3, 12, "A", colours=3), nn.SiLU(), masked(12, 12, "B", colours=3), masked(12, 3, "B", colours=3)
    )
    x = mg.tensor(Generator(1).normal((1, SIZE, SIZE, 3)), requires_grad=True)
    y = net(x)
    pixel = (3, 3)
    for colour in range(3):
        picked = np.zeros(y.shape, np.float32)
        picked[0, 3, 3, colour] = 1.0
        seen = mg.grad(y, x, picked, retain_graph=True).data[0] != 0
        assert not (seen & ~before(pixel)[..., None])[np.arange(SIZE) != 3].any()
        np.testing.assert_array_equal(seen[3, 3], np.arange(3) < colour)
        assert seen[2, 3].all()


@pytest.mark.parametrize("colours", [1, 3])
def test_masked_weights_have_no_effect_and_get_no_gradient(colours):
    layer = masked(3, 6, "B", colours=colours)
    x = Generator(1).normal((2, 4, 4, 3))
    y = layer(x)
    mg.sum(y * y).backward()
    live = (
        np.broadcast_to(layer.taps[:, :, None, None], layer.weight.shape) if layer.mask is None else layer.mask.data > 0
    )
    assert (layer.weight.grad.data[~live] == 0).all()
    assert (layer.weight.grad.data[live] != 0).all()
    layer.weight.data[~live] = 1e6
    np.testing.assert_array_equal(layer(x).data, y.data)
    assert 0 < live.mean() < 1


def test_a_kernel_of_one_pixel_with_kind_a_sees_nothing():
    layer = nn.MaskedConv2d(1, 2, kernel_size=1, kind="A", rng=Generator(0))
    out = layer(Generator(1).normal((1, 3, 3, 1))).data
    np.testing.assert_array_equal(out, np.broadcast_to(layer.bias.data, out.shape))


def test_channel_masks_of_other_widths():
    red, green = nn.channel_mask(2, 4, kind="B", colours=2)
    np.testing.assert_array_equal(red, [True, True, True, True])
    np.testing.assert_array_equal(green, [False, False, True, True])


LAYERS = {
    "conv2d": (lambda: nn.Conv2d(4, 4096, kernel_size=(3, 5), groups=2, rng=Generator(0)), 3 * 5 * 2),
    "conv1d": (lambda: nn.Conv1d(4, 4096, kernel_size=5, rng=Generator(0)), 5 * 4),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(4, 4096, kernel_size=4, stride=2, rng=Generator(0)), 4 * 4 * 4 / 4),
    "conv_transpose1d": (lambda: nn.ConvTranspose1d(4, 4096, kernel_size=4, stride=2, rng=Generator(0)), 4 * 4 / 2),
    "masked": (lambda: nn.MaskedConv2d(4, 4096, kernel_size=3, kind="B", rng=Generator(0)), 5 * 4),
}


@pytest.mark.parametrize("name", LAYERS)
def test_initial_weights_are_uniform_with_the_live_fan_in(name):
    layer, fan_in = LAYERS[name][0](), LAYERS[name][1]
    for parameter in (layer.weight, layer.bias):
        assert abs(parameter.data).max() <= fan_in**-0.5
        assert parameter.data.std() == pytest.approx((3 * fan_in) ** -0.5, rel=0.05)


def test_the_fan_in_of_a_colour_counts_what_it_sees():
    layer = nn.MaskedConv2d(3, 3000, kernel_size=3, kind="A", colours=3, rng=Generator(0))
    spread = layer.weight.data.reshape(27, 3, 1000).std(axis=(0, 2))
    np.testing.assert_allclose(spread, (3 * np.array([12.0, 13.0, 14.0])) ** -0.5, rtol=0.02)


@pytest.mark.parametrize("name", LAYERS)
def test_the_initial_weights_may_be_chosen_and_the_bias_left_out(name):
    shapes = []

    def ones(shape, rng):
        shapes.append(shape)
        return np.ones(shape, np.float32)

    kind = type(LAYERS[name][0]())
    options = {"kind": "B"} if name == "masked" else {}
    layer = kind(2, 3, kernel_size=3, rng=Generator(0), bias=False, initialize=ones, **options)
    assert layer.bias is None
    assert shapes == [layer.weight.shape]
    assert (layer.weight.data == 1).all()


def test_type_a_on_features_is_warned_of_with_the_reason():
    with pytest.warns(UserWarning, match=r'MaskedConv2d: kind "A" on 64 channels.*needs "A", others "B"'):
        nn.MaskedConv2d(64, 8, kernel_size=3, kind="A", rng=Generator(0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(3, 4, kernel_size=0, rng=Generator(0)), "Conv2d: kernel_size is 0, expected a whole number of at least 1"),
        (lambda: nn.Conv2d(3, 4, kernel_size=(1, 2, 3), rng=Generator(0)), r"Conv2d: kernel_size is \(1, 2, 3\)"),
        (lambda: nn.Conv2d(3, 4, kernel_size=1, groups=2, rng=Generator(0)), "in_channels 3 and out_channels 4 .* groups, 2"),
        (lambda: nn.ConvTranspose2d(0, 4, kernel_size=1, rng=Generator(0)), "ConvTranspose2d: in_channels 0"),
        (lambda: nn.MaskedConv2d(1, 4, kernel_size=4, kind="A", rng=Generator(0)), r"kernel \(4, 4\).*expected odd sizes"),
        (lambda: nn.MaskedConv2d(1, 4, kernel_size=3, kind="C", rng=Generator(0)), "kind 'C'"),
        (lambda: nn.MaskedConv2d(1, 4, kernel_size=3, kind="A", stack="snake", rng=Generator(0)), "stack 'snake'"),
        (lambda: nn.MaskedConv2d(4, 6, kernel_size=3, kind="B", colours=3, rng=Generator(0)), "4 input and 6 output channels"),
        (lambda: nn.Conv2d(3, 4, kernel_size=1, stride=0, rng=Generator(0))(np.ones((1, 2, 2, 3), "float32")), "stride is 0"),
    ],
)  # fmt: skip
def test_bad_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
