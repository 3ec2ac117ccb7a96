import pytest

from seqtune.tasks.signs import visible


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
