"""Names that stand beside each other: clipped to what has room, but only as far as no two become alike."""

import re
from collections.abc import Sequence
from itertools import takewhile

from seqtune.report import labels

LONGEST = 40
"""Letters of a name in a figure or a table."""


def distinct(texts: Sequence[str], *, longest: int = LONGEST) -> list[str]:
    """Each text on one line and clipped, no two alike.

    Texts that clipping would make alike are cut to where they differ. Those that are alike even so, or
    were from the beginning, are numbered.

    Example:
        In 16 letters `phased (3 1; 7 0.5)` and `phased (3 1; 7 0.2)` are `phased (… 0.5)` and `phased (… 0.2)`.
    """
    lines = [" ".join(text.split()) for text in texts]
    return _numbered(_told_apart(lines, alike=0, longest=longest), longest=longest)


def _told_apart(lines: Sequence[str], *, alike: int, longest: int) -> list[str]:
    """Names of lines that are the same in their first `alike` letters; a few may still be the same."""
    end = max(map(len, lines), default=0)
    names = [_cut(line, alike=alike, end=end, longest=longest) for line in lines]
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(name, []).append(place)
    for places in groups.values():
        inside = [lines[place] for place in places]
        same = _common_letters(inside)
        if len(set(inside)) > 1 and same > alike:
            for place, name in zip(
                places, _told_apart(inside, alike=same, longest=longest), strict=True
            ):
                names[place] = name
    return names


def _common_letters(lines: Sequence[str]) -> int:
    """In how many first letters all of them are the same."""
    columns = zip(*lines, strict=False)
    return sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, columns))


def _cut(line: str, *, alike: int, end: int, longest: int) -> str:
    """A line that is too long, without a part of it that is not where lines begin to differ.

    A block keeps its kind, and its fields as far as there is room; any other name its beginning.

    Args:
        line: to be cut.
        alike: where it begins to differ from others.
        end: of the longest of them.
        longest: letters that the name may have.
    """
    if len(line) <= longest:
        return line
    kind, bracket, _ = line.partition(" (")
    is_block = bool(bracket) and line.endswith(")") and len(kind) <= longest // 2
    if alike == 0 and not is_block:
        return labels.clipped(line, longest=longest)
    head = f"{kind} (" if is_block else line[: longest // 4]
    start = _start(line, alike=alike, end=end, room=longest - len(head) - len("… "))
    head, rest = (f"{head}… ", line[start:]) if start > len(head) else (head, line[len(head) :])
    room = longest - len(head)
    mark = "…)" if is_block else "…"
    return head + (rest if len(rest) <= room else _beginning(rest, room=room - len(mark)) + mark)


def _start(line: str, *, alike: int, end: int, room: int) -> int:
    """Where to go on after what is left out: at the difference, or before it if there is room to the end."""
    # The word that differs from its beginning, unless that is too far away.
    start = max(line.rfind(" ", 0, alike) + 1, alike - room // 2)
    parts = (found.end() for found in re.finditer("[,;] ", line))
    return min((each for each in parts if end - room <= each <= start), default=start)


def _beginning(text: str, *, room: int) -> str:
    """The first words with a blank after them, or of a first word that is too long its first letters."""
    words = text[:room].rpartition(" ")[0].rstrip(",;")
    return f"{words} " if words else text[:room]


def _numbered(names: Sequence[str], *, longest: int) -> list[str]:
    """The second of equal names, and every further one, ends in its number."""
    found: dict[str, None] = {}
    for each in names:
        name, count = each, 1
        while name in found:
            count += 1
            mark = f" #{count}"
            name = each[: longest - len(mark)] + mark
        found[name] = None
    return list(found)
