"""What models wrote, as lines of a listing: cut to a readable length, and broken where a line is full."""

import textwrap
from collections.abc import Iterator, Sequence

from seqtune.tasks.generative_evaluation import SEAM, Sample, visible

PROMPT, COMPLETION, REST = 100, 200, 100
"""Characters that are kept: the end of the prompt, the beginning of what was made of it, and what comes
after the place where it goes wrong; before that place, as many as of a beginning."""

# Every blank stays: between words, two are not one.
_wrapper = textwrap.TextWrapper(
    width=88, drop_whitespace=False, replace_whitespace=False, break_on_hyphens=False
)


def lines(samples: Sequence[Sample]) -> tuple[str, ...]:
    """A heading, then the samples: title, whether right, text."""
    rows = [("sample", "right", "text")]
    rows += [(visible(each.title), _right(each), excerpt(each)) for each in samples]
    title = max(len(row[0]) for row in rows)
    right = max(len(row[1]) for row in rows) if any(row[1] for row in rows[1:]) else 0
    return tuple(line for row in rows for line in _broken(row, title=title, right=right))


def excerpt(sample: Sample) -> str:
    """A text on one line, with a mark where it goes wrong; an ellipsis stands where it was cut."""
    before, mark, after = sample.marked
    prompt, seam, completion = before.rpartition(SEAM)
    # Without a seam everything was generated.
    longest = COMPLETION if seam or mark else PROMPT + COMPLETION
    completion = _end(completion, longest=longest) if mark else _begin(completion, longest=longest)
    parts = (_end(prompt, longest=PROMPT), seam, completion, mark, _begin(after, longest=REST))
    return visible("".join(parts))


def _begin(text: str, *, longest: int) -> str:
    return text[:longest] + "…" if len(text) > longest else text


def _end(text: str, *, longest: int) -> str:
    return "…" + text[-longest:] if len(text) > longest else text


def has_seam(samples: Sequence[Sample]) -> bool:
    """Whether any text shows where its prompt ends."""
    return any(SEAM in each.text for each in samples)


def _right(sample: Sample) -> str:
    match sample.right:
        case None:
            return ""
        case right:
            return "yes" if right else "no"


def _broken(row: tuple[str, str, str], *, title: int, right: int) -> Iterator[str]:
    columns = [f"{row[0]:<{title}}", *([f"{row[1]:<{right}}"] if right else [])]
    head = "  ".join(columns) + "  "
    for number, line in enumerate(_wrapper.wrap(row[2]) or [""]):
        before = head if number == 0 else " " * len(head)
        yield (before + line).rstrip()
