"""Dyck languages, against a stack, Catalan numbers, and a recursion over depth and room."""

import itertools
import math
import re

import numpy as np
import pytest

from seqtune.tasks.cfg.dyck import dyck

MORE, NESTED = 0.45, 0.55


def depth_of(string: tuple[int, ...]) -> int | None:
    """How deep brackets are nested; None if they do not match. Odd ids open, the next one closes."""
    stack, deepest = [], 0
    for token in string:
        if token % 2:
            stack.append(token)
            deepest = max(deepest, len(stack))
        elif not stack or stack.pop() != token - 1:
            return None
    return None if stack or not string else deepest


class Walk:
    """What may follow a prefix of a Dyck word, from its stack and the room that is left.

    Inside `level` brackets, of which one was just opened or a pair was just closed, `opened` and
    `closed` [level, room] are the probabilities that the word ends within `room` tokens.
    """

    def __init__(self, *, pairs: int, depth: int, room: int) -> None:
        self._pairs, self._depth = pairs, depth
        self.opened = np.zeros((depth + 2, room + 1))
        self.closed = np.zeros((depth + 2, room + 1))
        self.closed[0] = 1 - MORE
        for m in range(1, room + 1):
            for level in range(depth + 1):
                nested = NESTED if level < depth else 0.0
                before = self.closed[level - 1, m - 1] if level else 1.0
                self.opened[level, m] = nested * self.opened[level + 1, m - 1]
                self.opened[level, m] += (1 - nested) * before
                self.closed[level, m] = (1 - MORE) * before + MORE * self.opened[level + 1, m - 1]

    def rows(self, string: list[int], *, room: int) -> np.ndarray:
        """Next-token distributions, the end last."""
        rows = np.zeros((len(string) + 1, 2 * self._pairs + 1))
        stack: list[int] = []
        for k, token in enumerate([*string, 0]):
            left = room - k - 1
            level = len(stack)
            just_opened = k > 0 and string[k - 1] % 2 == 1
            nested = NESTED if level < self._depth else 0.0
            goes_on = 1.0 if k == 0 else nested if just_opened else MORE
            if left >= 0:
                rows[k, :-1:2] = goes_on * self.opened[level + 1, left] / self._pairs
            if stack and left >= 0:
                rows[k, stack[-1]] = (1 - goes_on) * self.closed[level - 1, left]
            elif not stack and k > 0:
                rows[k, -1] = 1 - goes_on
            if token % 2:
                stack.append(token)
            elif token:
                stack.pop()
        return rows / rows.sum(axis=1, keepdims=True)


def walk_of(length: int, *, pairs: int, depth: int, seed: int) -> list[int]:
    """A word of exactly so many tokens, nested at most so deep, by a random walk."""
    generator = np.random.default_rng(seed)
    string: list[int] = []
    stack: list[int] = []
    while len(string) < length:
        room = length - len(string)
        if not stack or (len(stack) < min(depth, room - 1) and generator.random() < 0.55):
            stack.append(2 * int(generator.integers(pairs)) + 1)
            string.append(stack[-1])
        else:
            string.append(stack.pop() + 1)
    return string


@pytest.mark.parametrize(("pairs", "depth"), [(1, None), (2, 1), (2, 2), (2, None), (3, 2)])
def test_words_are_those_that_a_stack_accepts(pairs, depth):
    own = dyck(pairs=pairs, depth=depth, max_length=6)
    tokens = range(1, 2 * pairs + 1)
    strings = [s for n in range(8) for s in itertools.product(tokens, repeat=n)][:60_000]
    expected = []
    for string in strings:
        found = depth_of(string)
        is_deep = found is None or (depth is not None and found > depth)
        expected.append(not is_deep and len(string) <= 6)
    assert own.accepts(strings).tolist() == expected


@pytest.mark.parametrize("pairs", [1, 2, 5])
def test_catalan_numbers_count_the_words(pairs):
    words = sum(pairs**n * math.comb(2 * n, n) // (n + 1) for n in range(1, 33))
    assert dyck(pairs=pairs, depth=None, max_length=64).count() == words
    # A depth that no word within the cap exceeds is none.
    assert dyck(pairs=pairs, depth=32, max_length=64).count() == words


def test_words_of_depth_two_are_counted_by_powers_of_two():
    # Of n pairs nested at most 2 deep there are 2^(n-1) shapes.
    own = dyck(pairs=3, depth=2, max_length=40)
    assert own.count() == sum(3**n * 2 ** (n - 1) for n in range(1, 21))


def test_probabilities_are_those_of_the_worked_examples():
    flat = dyck(pairs=2, depth=1, max_length=40, more=0.5)
    kept = 1 - 0.5**20
    assert flat.kept == pytest.approx(kept, rel=1e-12)
    assert math.exp(flat.log_probability([[1, 2, 3, 4]])[0]) == pytest.approx(1 / 16 / kept)
    deeper = dyck(pairs=2, depth=2, max_length=4, more=0.25, nested=0.5)
    single, two, inside = 1 / 2 * 1 / 2 * 3 / 4, 1 / 16 * 3 / 16, 1 / 4 * (1 / 2 * 3 / 4) * 3 / 4
    kept = 2 * single + 4 * two + 4 * inside
    strings = [[1, 2], [1, 2, 3, 4], [3, 1, 2, 4]]
    np.testing.assert_allclose(
        np.exp(deeper.log_probability(strings)), np.array([single, two, inside]) / kept
    )


@pytest.mark.parametrize("depth", [3, 12, None])
def test_words_of_512_tokens_agree_with_a_recursion_over_depth_and_room(depth):
    own = dyck(pairs=2, depth=depth, max_length=512, more=MORE, nested=NESTED)
    deepest = depth or 512
    walk = Walk(pairs=2, depth=deepest, room=512)
    assert own.kept == pytest.approx(walk.opened[1, 511], rel=1e-10)
    strings = [walk_of(512, pairs=2, depth=deepest, seed=seed) for seed in range(3)]
    if depth is None:
        strings.append([1] * 256 + [2] * 256)
    nats = own.log_probability(strings)
    for string, own_nats in zip(strings, nats, strict=True):
        rows = own.next_token(string)
        expected = walk.rows(string, room=512)
        np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-10)
        columns = np.array([*string, 5]) - 1
        log_expected = np.log(expected[np.arange(513), columns]).sum()
        assert own_nats == pytest.approx(log_expected, abs=1e-8)


@pytest.mark.parametrize("depth", [1, 4, None])
def test_what_follows_sampled_words_agrees_with_the_recursion(depth):
    own = dyck(pairs=3, depth=depth, max_length=30, more=MORE, nested=NESTED)
    walk = Walk(pairs=3, depth=depth or 30, room=30)
    for string in own.sample(100, 1):
        expected = walk.rows(string.tolist(), room=30)
        np.testing.assert_allclose(own.next_token(string), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("pairs", "terminals"),
    [
        (1, "( )"),
        (2, "( ) [ ]"),
        (3, "( ) [ ] { }"),
        (4, "( ) < > [ ] { }"),
        (6, "( (5 (6 ) 5) 6) < > [ ] { }"),
    ],
)
def test_token_ids_follow_from_the_kinds_of_brackets(pairs, terminals):
    for depth in (1, 3, None):
        own = dyck(pairs=pairs, depth=depth, max_length=8, more=0.2)
        assert own.terminals == tuple(terminals.split())


def test_it_is_known_to_be_unambiguous():
    own = dyck(pairs=2, depth=None, max_length=100)
    assert own.ambiguity().verdict == "unambiguous"
    assert "construction" in own.ambiguity().reason
    assert own.entropy() == own.derivation_entropy()


@pytest.mark.parametrize("depth", [2, None])
def test_no_word_has_two_derivations(depth):
    own = dyck(pairs=1, depth=depth, max_length=12)
    words = {
        string[:n]
        for string in itertools.product((1, 2), repeat=12)
        for n in range(2, 13, 2)
        if depth_of(string[:n]) in range(1, (depth or 6) + 1)
    }
    assert own.count() == len(words)


def test_bad_arguments_are_explained_all_at_once():
    with pytest.raises(ValueError, match="pairs") as error:
        dyck(pairs=0, depth=0, max_length=1, more=1.0, nested=0)
    assert str(error.value).splitlines() == [
        "pairs: must be an integer of at least 1, but got 0",
        "depth: must be an integer of at least 1, or None for no bound, but got 0",
        "max_length: must be an integer of at least 2, but got 1",
        "more: must be a probability above 0 and below 1, but got 1.0",
        "nested: must be a probability above 0 and below 1, but got 0",
    ]


@pytest.mark.parametrize("wrong", [{"pairs": 2.0}, {"depth": True}, {"max_length": "8"}])
def test_numbers_must_be_whole(wrong):
    arguments = {"pairs": 1, "depth": 2, "max_length": 8} | wrong
    with pytest.raises(ValueError, match=re.escape(f"{next(iter(wrong))}: must be an integer")):
        dyck(**arguments)
