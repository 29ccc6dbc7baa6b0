"""Faces: each factor changes that part of the face which it is about, and no other."""

import numpy as np
import pytest

from minigen.data import FACES
from minigen.data.faces import SKINS


@pytest.fixture(scope="module")
def images():
    """Every plain face, by glasses, smile, turn, style of the hair, its colour, skin."""
    return FACES.draw(FACES.all_factors()).reshape(2, 5, 3, 3, 4, 4, 32, 32, 3).astype(int)


@pytest.mark.parametrize(
    ("axis", "rows"),
    [(0, slice(10, 19)), (1, slice(16, 26))],
    ids=["glasses", "smile"],
)
def test_glasses_and_smile_change_the_rows_of_eyes_and_mouth_alone(images, axis, rows):
    changed = np.ptp(images, axis=axis).max(axis=-1)  # (..., S, S)
    assert changed[..., rows, :].max(axis=(-2, -1)).min() > 60
    changed[..., rows, :] = 0
    assert not changed.any()


def test_frowns_have_their_corners_below_and_smiles_above(images):
    front = images[0, :, 1, 0, 0, 0]  # (5, S, S, 3), of a light skin
    red = np.clip(front[..., 0] - front[..., 1] - 60, 0, None)[:, 17:26]  # the lips
    rows = np.arange(9)[:, None]
    ends, middle = (
        (red[:, :, part] * rows).sum(axis=(1, 2)) / red[:, :, part].sum(axis=(1, 2))
        for part in ([12, 13, 18, 19], [15, 16])
    )
    assert (np.diff(middle - ends) > 0).all()
    assert (np.sign(np.round(middle - ends)) == [-1, -1, 0, 1, 1]).all()


def test_a_turn_to_the_left_mirrors_one_to_the_right_but_for_the_parting(images):
    curly = images[:, :, :, 1]
    np.testing.assert_allclose(curly[:, :, 0, ..., ::-1, :][..., 14:28, :, :], curly[:, :, 2][..., 14:28, :, :], atol=8)
    pupils = images[0, 2, :, 2, 0, 0, 14:17, :, :].sum(axis=(1, 3)) < 900  # (3, S), dark columns at the eyes
    assert len({tuple(row) for row in pupils.tolist()}) == 3


def test_skin_and_hair_have_their_colours(images):
    forehead = images[0, ..., 12, 16, :]
    hair = images[..., 7, 16, :]
    skins = np.array([np.rint(255 * np.array(colour)) for colour in SKINS.values()])
    np.testing.assert_allclose(np.median(forehead, axis=(0, 1, 2, 3)), skins)
    assert (np.ptp(hair, axis=5) == 0).all()  # whatever the skin
    assert (np.ptp(hair, axis=4).max(axis=-1) > 100).all()
