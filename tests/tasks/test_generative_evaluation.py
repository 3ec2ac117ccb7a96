import json

import pytest

from seqtune.tasks.generative_evaluation import Sample, visible


@pytest.mark.parametrize(
    ("text", "wrong_at", "marked"),
    [
        ("3 1 2", None, ("3 1 2", "", "")),
        ("3 1 2", 4, ("3 1 ", "⟨wrong: why⟩", " 2")),
        ("3 1 2", 0, ("", "⟨wrong: why⟩", " 3 1 2")),
        ("3 1 2", 5, ("3 1 2 ", "⟨wrong: why⟩", "")),
        ("", 0, ("", "⟨wrong: why⟩", "")),
        ("[0110]", 3, ("[01", "⟨wrong: why⟩", "10]")),
    ],
)
def test_a_sample_is_marked_where_it_goes_wrong(
    text: str, wrong_at: int | None, marked: tuple[str, str, str]
):
    assert Sample("1", text, right=False, wrong_at=wrong_at, reason="why").marked == marked


def test_a_sample_becomes_plain_data_with_the_place():
    sample = Sample("1", "3 1", right=False, wrong_at=2, reason="why")
    assert json.loads(json.dumps(sample.to_data())) == {
        "title": "1",
        "text": "3 1",
        "right": False,
        "wrong_at": 2,
        "reason": "why",
        "panels": {},
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\nc", "a⏎b⏎c"),
        ("a\tb\x00", "a␉b␀"),
        ("a\u00a0b", "a b"),
        ("a\u202eb\u2028c\x7f", "a�b�c�"),
        ("ä ⟫ 漢", "ä ⟫ 漢"),
    ],
)
def test_control_characters_are_shown_as_signs(text: str, shown: str):
    assert visible(text) == shown
