"""The n-grams against the formula written out in plain Python, and against numbers worked by hand."""

from collections import Counter

import numpy as np
import pytest

from seqtune.tasks.text.references import kneser_ney

ORDERS = 6
VOCABULARY = 5


def slow_probability(
    train: list[int], *, context: tuple[int, ...], unit: int, order: int, highest: bool = True
) -> float:
    if order < 0:
        return 1 / VOCABULARY
    length = order + 1
    grams = Counter(tuple(train[at : at + length]) for at in range(len(train) - order))
    if not highest:
        longer = {tuple(train[at : at + length + 1]) for at in range(len(train) - length)}
        grams = Counter(gram[1:] for gram in longer)
    frequencies = Counter(grams.values())
    once, twice = frequencies[1], frequencies[2]
    discount = once / (once + 2 * twice) if once else 0.5
    seen = context[len(context) - order :]
    following = {gram[-1]: count for gram, count in grams.items() if gram[:-1] == seen}
    below = slow_probability(train, context=context, unit=unit, order=order - 1, highest=False)
    if not following:
        return below
    kept = max(following.get(unit, 0) - discount, 0.0)
    return (kept + discount * len(following) * below) / sum(following.values())


@pytest.fixture
def train() -> np.ndarray:
    """A text with repeats, in which unit 4 never occurs."""
    generator = np.random.default_rng(0)
    draws = generator.choice(4, size=120, p=[0.5, 0.3, 0.15, 0.05])
    return np.concatenate([draws, draws[20:60], [3, 3], draws[40:70]]).astype(np.uint8)


def test_every_order_agrees_with_the_formula_in_plain_python(train: np.ndarray):
    rows = np.concatenate([train[30:54].reshape(2, 12), [[4, 0, 0, 1, 4, 2, 0, 1, 0, 0, 2, 1]]])
    found = list(kneser_ney(train, rows, vocabulary=VOCABULARY, orders=ORDERS))
    assert len(found) == ORDERS
    for order, given in enumerate(found):
        expected = [
            [
                slow_probability(
                    train.tolist(),
                    context=tuple(row[:at].tolist()),
                    unit=int(row[at]),
                    order=min(order, at),
                )
                for at in range(len(row))
            ]
            for row in rows
        ]
        np.testing.assert_allclose(given, expected, rtol=1e-12, err_msg=f"order {order}")


@pytest.mark.parametrize(
    "context", [[0, 1, 0, 0, 2, 1], [3, 3, 3, 3, 3, 3], [4, 4, 4, 0, 1], [2], []]
)
def test_probabilities_sum_to_one_over_the_vocabulary(train: np.ndarray, context: list[int]):
    rows = np.array([[*context, unit] for unit in range(VOCABULARY)])
    for given in kneser_ney(train, rows, vocabulary=VOCABULARY, orders=ORDERS):
        assert given[:, -1].sum() == pytest.approx(1.0, abs=1e-12)
        assert (given[:, -1] > 0).all()


def test_a_text_of_two_letters_by_hand():
    """a b a b, three letters known. Nothing occurs once: D is 1/2, and P(a) = (3/2 + 1/2 * 2 / 3) / 4.

    Of the pairs, ab occurs twice and ba once: D is 1/3. Before each letter stands one other letter, so the
    continuation counts are 1 and 1, all of it is discounted, and below is uniform: P(b | a) = (5/3 + 1/9) / 2.
    """
    (zero, one) = kneser_ney(
        np.array([0, 1, 0, 1]), np.array([[0, 1], [0, 0], [0, 2]]), vocabulary=3, orders=2
    )
    np.testing.assert_allclose(zero[:, 1], [11 / 24, 11 / 24, 1 / 12])
    np.testing.assert_allclose(one[:, 1], [16 / 18, 1 / 18, 1 / 18])
    np.testing.assert_allclose(one[:, 0], zero[0, 0])


def test_what_stands_before_a_row_is_not_read(train: np.ndarray):
    long = train[10:40][None]
    short = long[:, 7:]
    for order, (whole, part) in enumerate(
        zip(
            kneser_ney(train, long, vocabulary=VOCABULARY, orders=ORDERS),
            kneser_ney(train, short, vocabulary=VOCABULARY, orders=ORDERS),
            strict=True,
        )
    ):
        np.testing.assert_array_equal(whole[:, 7 + order :], part[:, order:])
        assert order == 0 or (whole[:, 7 : 7 + order] != part[:, :order]).any()


def test_a_text_shorter_than_the_longest_gram_is_enough():
    given = list(kneser_ney(np.array([1, 2]), np.array([[1, 2, 1, 2]]), vocabulary=3, orders=6))
    assert all(np.isfinite(each).all() and (each > 0).all() for each in given)
