"""Where strings go wrong, against the list of all strings of small languages."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtune import seeding
from seqtune.tasks.cfg.generative_evaluation import read_terminals
from seqtune.tasks.cfg.grammar import Grammar
from seqtune.tasks.cfg.recursive.grammar import RecursiveGrammar
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask
from seqtune.tasks.generative_evaluation import SEAM, Prompt, Sample
from tests.tasks.cfg.listed import Listed

PAIRS = {"root": "S", "rules": {"S": {"a S b": 0.4, "a b": 0.6}}, "max_length": 6}
OPEN_ENDED = {"root": "S", "rules": {"S": ["a S", "b S", "a"]}, "max_length": 5}
NAMED = {"root": "S", "rules": {"S": ["N V", "N V N"], "N": ["dog", "cat"], "V": ["sees"]}}
GRAMMARS: list[dict[str, Any]] = [
    {"grammar": "cfg3b", "height": 2},
    {"grammar": "cfg3f", "height": 2},
    {"grammar": {"kind": "dyck", "max_length": 6}},
    {"grammar": PAIRS},
    {"grammar": OPEN_ENDED},
    {"grammar": NAMED},
]

Word = tuple[int, ...]


@cache
def task_of(number: int, format: str = "sentence") -> CfgTask:
    return CfgTask(CfgSpec.parse({"kind": "cfg", "format": format, **GRAMMARS[number]}))


@cache
def listed(number: int) -> frozenset[Word]:
    """All strings of a language."""
    match task_of(number).grammar:
        case Grammar() as finite:
            return frozenset(finite.strings())
        case RecursiveGrammar() as recursive:
            return frozenset(Listed(recursive).probability)
        case other:
            raise AssertionError(other)


@cache
def beginnings(number: int) -> frozenset[Word]:
    return frozenset(string[:k] for string in listed(number) for k in range(len(string) + 1))


def first_wrong(number: int, string: Word) -> int:
    """The first token after which no string of the language goes on, by comparing with them all."""
    places = range(len(string))
    return next((k for k in places if string[: k + 1] not in beginnings(number)), len(string))


def token_at(sample: Sample) -> int | None:
    """The token, counted from 0 without the seam, that begins where a text goes wrong."""
    if sample.wrong_at is None:
        return None
    before = sample.text[: sample.wrong_at]
    assert before == "" or before[-1] == " " or before == sample.text
    return sum(word != SEAM for word in before.split())


def check(task: CfgTask, string: Word, *, given: int = 0, length: int | None = None) -> Sample:
    """One string whose first tokens were given; without a length it has its end."""
    tokens = [*[task.bos] * task.layout.ends, *string[:given]]
    rest = [*string[given:], *[task.eos] * (length is None)]
    prompt = Prompt(np.array([tokens], dtype=np.int64), longest=len(rest), stop=task.eos)
    (sample,) = task.check_completions(prompt, completions=np.array([rest], dtype=np.int64))
    return sample


@st.composite
def attempts(draw: st.DrawFn) -> tuple[int, Word, int]:
    """A grammar; one of its strings, a few of whose tokens are other, gone or new; a prompt's length."""
    number = draw(st.integers(0, len(GRAMMARS) - 1))
    string = list(draw(st.sampled_from(sorted(listed(number)))))
    tokens = st.integers(0, len(task_of(number).grammar.terminals))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(string)))
        string[place : place + draw(st.integers(0, 2))] = draw(st.lists(tokens, max_size=3))
    return number, tuple(string), draw(st.integers(0, len(string)))


@given(attempts())
@settings(deadline=None, max_examples=300)
def test_a_string_is_wrong_where_no_string_of_the_language_goes_on(attempt: tuple[int, Word, int]):
    number, string, given_ = attempt
    sample = check(task_of(number), string, given=given_)
    assert sample.right == (string in listed(number))
    if sample.right:
        assert (sample.wrong_at, sample.reason) == (None, "")
    else:
        assert sample.reason
        assert token_at(sample) == first_wrong(number, string)


@given(attempts())
@settings(deadline=None, max_examples=300)
def test_the_padded_layout_is_judged_by_beginnings_up_to_where_all_strings_end(
    attempt: tuple[int, Word, int],
):
    number, string, given_ = attempt
    given_ = max(1, given_)
    if len(string) <= given_:
        return
    place = first_wrong(number, string)
    goes_on = any(other[:place] == string[:place] != other for other in listed(number))
    sample = check(task_of(number, "padded"), string, given=given_, length=len(string))
    if place >= given_ and not goes_on:
        assert sample.right
        assert len(sample.text.split()) == place + 1  # and the seam
    else:
        assert sample.right == (place == len(string))
        assert sample.text.endswith("…")
        assert token_at(sample) == (None if sample.right else place)


@pytest.mark.parametrize("number", range(len(GRAMMARS)))
@pytest.mark.parametrize("format", ["sentence", "packed"])
def test_no_string_of_the_language_is_marked(number: int, format: str):
    task = task_of(number, format)
    rows = sorted(listed(number))[:200]
    width = max(map(len, rows)) + 1
    completions = np.array([[*row, *[task.eos] * (width - len(row))] for row in rows])
    prompt = task.prompt(None, count=len(rows), generator=seeding.generator(0, "generate"))
    samples = task.check_completions(prompt, completions=completions)
    assert [sample.title for sample in samples] == [str(n) for n in range(1, len(rows) + 1)]
    assert all(sample.right and sample.wrong_at is None for sample in samples)


@pytest.mark.parametrize(
    "grammar", ["cfg3b", "cfg3f", "cfg3k", {"kind": "dyck", "max_length": 300, "more": 0.9}]
)
def test_long_strings_are_judged_as_the_inside_probability_does(grammar: str | dict[str, Any]):
    task = CfgTask(CfgSpec.parse({"kind": "cfg", "grammar": grammar}))
    generator = np.random.default_rng(0)
    strings = task.draw(20, generator=generator).padded(fill=task.eos)
    strings = np.pad(strings, ((0, 0), (0, 1)), constant_values=task.eos)
    changed = strings.copy()
    lengths = (strings != task.eos).sum(axis=1)
    places = generator.integers(lengths)
    changed[np.arange(20), places] = generator.integers(1, task.eos, size=20)
    prompt = task.prompt(None, count=40, generator=generator)
    samples = task.check_completions(prompt, completions=np.concatenate([strings, changed]))
    assert all(sample.right for sample in samples[:20])
    assert [sample.right for sample in samples[20:]] == task.accepts(changed).tolist()
    for sample, place in zip(samples[20:], places, strict=True):
        found = token_at(sample)
        assert found is None or found >= place


@pytest.mark.parametrize(
    ("words", "marked"),
    [
        ("a a b b", "a a b b"),
        ("a a b a", "a a b ⟨wrong: only b can follow⟩ a"),
        ("b a", "⟨wrong: only a can follow⟩ b a"),
        ("a b b", "a b ⟨wrong: only the end can follow⟩ b"),
        ("a a b", "a a b ⟨wrong: ends here, but no string of the language does⟩"),
        ("", "⟨wrong: ends here, but no string of the language does⟩"),
        ("a a a a", "a a a ⟨wrong: only b can follow⟩ a"),
    ],
)
def test_a_mark_says_what_could_stand_there(words: str, marked: str):
    task = task_of(3)
    string = tuple(read_terminals(words, language=task.grammar))
    assert "".join(check(task, string).marked) == marked


def test_the_seam_stands_between_prompt_and_completion():
    assert "".join(check(task_of(3), (1, 1, 2, 1), given=2).marked) == (
        "a a ⟫ b ⟨wrong: only b can follow⟩ a"
    )
    assert "".join(check(task_of(3), (1, 2, 1, 1), given=3).marked) == (
        "a b ⟨wrong: only the end can follow⟩ a ⟫ a"
    )
    assert "".join(check(task_of(3), (1, 2), given=2).marked) == "a b ⟫"
    assert "".join(check(task_of(3), (1,), given=1).marked) == (
        "a ⟫ ⟨wrong: ends here, but no string of the language does⟩"
    )


def test_a_string_that_was_cut_has_not_ended():
    sample = check(task_of(3), (1, 1, 2), length=3)
    assert "".join(sample.marked) == "a a b ⟨wrong: has not ended after 3 tokens⟩ …"


def test_bos_within_a_string_is_wrong():
    assert "".join(check(task_of(3), (1, 0, 2)).marked) == "a ⟨wrong: only a or b can follow⟩ BOS b"


def test_many_that_could_follow_are_not_named():
    rules = {"S": [f"{left} z" for left in "abcdefg"]}
    task = CfgTask(CfgSpec.parse({"kind": "cfg", "grammar": {"root": "S", "rules": rules}}))
    assert "".join(check(task, (8, 8)).marked) == "⟨wrong: z cannot follow⟩ z z"


@pytest.mark.parametrize(
    ("number", "text", "tokens"),
    [
        (0, "3 1 2", [3, 1, 2]),
        (0, " 31\n2 ", [3, 1, 2]),
        (2, "([ ]", [1, 3, 4]),
        (5, "dog  sees", [2, 3]),
        (5, "", []),
    ],
)
def test_a_prompt_is_read_by_the_names_of_terminals(number: int, text: str, tokens: list[int]):
    assert read_terminals(text, language=task_of(number).grammar) == tokens


@pytest.mark.parametrize(
    ("number", "text", "message"),
    [
        (0, "3 4", "token 2 must be a terminal of cfg3b, but got '4'; it is one of 1, 2, 3"),
        (5, "dog see", "token 2 must be a terminal of own, but got 'see'; did you mean sees?"),
        (5, "dogsees", "token 1 must be a terminal of own, but got 'dogsees'"),
    ],
)
def test_what_is_no_terminal_is_refused(number: int, text: str, message: str):
    with pytest.raises(ValueError, match="terminal") as caught:
        read_terminals(text, language=task_of(number).grammar)
    assert str(caught.value).startswith(message)


def test_a_prompt_leaves_room_for_the_longest_string_and_its_end():
    task = task_of(3)
    generator = seeding.generator(0, "generate")
    whole = task.prompt(None, count=2, generator=generator)
    assert (whole.tokens.tolist(), whole.longest, whole.stop) == ([[0], [0]], 7, task.eos)
    begun = task.prompt("a a", count=2, generator=generator)
    assert (begun.tokens.tolist(), begun.longest) == ([[0, 1, 1]] * 2, 5)
    assert (begun.temperature, begun.note) == (1.0, "")
    assert task.prompt("aaaaaaaaa", count=1, generator=generator).longest == 1


def test_a_prompt_that_no_string_begins_with_is_gone_on_with_and_noted():
    asked = task_of(3).prompt("aba", count=1, generator=seeding.generator(0, "generate"))
    assert asked.note == (
        "no string of the language begins like the prompt: its token 3 is a, but only the end can follow"
    )
    assert asked.tokens.tolist() == [[0, 1, 2, 1]]


def test_the_padded_layout_goes_on_from_a_first_terminal_and_says_that_it_knows_no_end():
    task = task_of(0, "padded")
    asked = task.prompt(None, count=300, generator=seeding.generator(0, "generate"))
    first = {string[0] for string in listed(0)}
    assert {row[0] for row in asked.tokens.tolist()} == first
    assert asked.tokens.shape == (300, 1)
    assert (asked.stop, asked.longest) == (None, task.grammar.lengths.max - 1)
    assert asked.note.startswith("the padded layout predicts no end")
    with pytest.raises(ValueError, match="must have a terminal"):
        task.prompt("", count=1, generator=seeding.generator(0, "generate"))


def test_a_padded_prompt_that_is_longer_than_any_string_is_wrong():
    task = task_of(3, "padded")
    asked = task.prompt("aba", count=1, generator=seeding.generator(0, "generate"))
    (sample,) = task.check_completions(asked, completions=np.array([[0]]))
    assert "".join(sample.marked) == "a b ⟨wrong: every string ends before it⟩ a ⟫ PAD …"


def test_fewer_completions_than_prompts_are_judged_from_the_first_on():
    task = task_of(3)
    asked = task.prompt("a", count=5, generator=seeding.generator(0, "generate"))
    ends = np.array([[2, task.eos], [task.eos, task.eos]])
    assert [sample.right for sample in task.check_completions(asked, completions=ends)] == [
        True,
        False,
    ]
