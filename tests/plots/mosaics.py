"""Take the images of a mosaic out of the picture again."""

import numpy as np


def cells_of(axes, size):
    """Return the images that are on the axes, (R, K, *size, 3), and see that what is around each is white and at least a pixel wide."""
    (sheet,) = axes.images
    rows, columns = int(axes.get_ylim()[0]), int(axes.get_xlim()[1])
    whole = np.asarray(sheet.get_array())
    cells = whole.reshape(rows, len(whole) // rows, columns, -1, 3).swapaxes(1, 2)
    down, right = ((cells.shape[2 + k] - size[k]) // 2 for k in range(2))
    assert down == right >= 1
    inside = np.zeros(cells.shape[2:4], bool)
    inside[down:-down, right:-right] = True
    assert inside.sum() == size[0] * size[1]
    assert (cells[:, :, ~inside] == 1).all()
    return cells[:, :, down:-down, right:-right]
