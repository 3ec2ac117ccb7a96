import numpy as np

from seqtune.tasks.generative_evaluation import CELLS
from seqtune.tasks.picture import CELL_PIXELS, GAP_PIXELS, PALETTE, paint, rgb


def greyness(colour: str) -> float:
    """Luma of a colour, 0 to 255."""
    red, green, blue = rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_boards_stand_side_by_side_in_the_colours_of_their_cells():
    left = np.array([[0, 1], [2, 3], [4, 0]], dtype=np.int8)
    right = np.array([[1]], dtype=np.int8)
    picture = paint({"left": left, "right": right})
    assert picture.dtype == np.uint8
    assert picture.shape == (3 * CELL_PIXELS, 3 * CELL_PIXELS + GAP_PIXELS, 3)
    middle = CELL_PIXELS // 2
    for row in range(3):
        for column in range(2):
            pixel = picture[row * CELL_PIXELS + middle, column * CELL_PIXELS + middle]
            assert tuple(pixel) == rgb(PALETTE[left[row, column]])
    assert tuple(picture[middle, -middle]) == rgb(PALETTE[1])
    assert (picture[CELL_PIXELS:, -CELL_PIXELS:] == 255).all()


def test_every_two_kinds_of_cell_differ_in_greyscale():
    shades = sorted(greyness(colour) for colour in PALETTE)
    assert len(shades) == len(CELLS)
    assert min(np.diff(shades)) > 15
