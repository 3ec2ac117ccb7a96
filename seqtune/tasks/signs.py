"""Signs for what cannot be seen or would break a line, so that any text a model writes can be shown."""

import unicodedata


def visible(text: str) -> str:
    """Text on one line, its control characters as signs: ⏎ for a line break, ␉ for a tab.

    What cannot be seen at all, such as a change of the writing direction, is the sign � instead.
    """
    return "".join(map(_sign, text.replace("\r\n", "\n")))


def _sign(character: str) -> str:
    if character.isprintable():
        return character
    if character == "\n":
        return "\N{RETURN SYMBOL}"
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))  # Unicode's pictures of control characters
    return " " if unicodedata.category(character) == "Zs" else "\N{REPLACEMENT CHARACTER}"
