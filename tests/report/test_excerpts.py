from seqtune.report.excerpts import excerpt, lines
from seqtune.tasks.exam import Sample
from seqtune.tasks.text.task import SEAM


def test_a_listing_says_what_is_right():
    samples = [Sample("1", "3 1", True), Sample("10", "2", False), Sample("x", "", None)]
    assert lines(samples) == (
        "sample  right  text",
        "1       yes    3 1",
        "10      no     2",
        "x",
    )


def test_where_nothing_is_judged_there_is_no_column_for_it():
    assert lines([Sample("1", "a\nb")]) == ("sample  text", "1       a⏎b")


def test_a_long_text_is_cut_at_its_end():
    assert excerpt("ab" * 300) == "ab" * 150 + "…"


def test_of_a_prompt_the_end_is_kept_and_of_a_completion_the_beginning():
    text = excerpt("a" * 150 + "b" * 100 + SEAM + "c" * 200 + "d")
    assert text == "…" + "b" * 100 + SEAM + "c" * 200 + "…"


def test_a_full_line_is_broken_between_words():
    text = "word  and " * 12
    first, *more = lines([Sample("1", text)])[1:]
    assert first.startswith("1       word  and ")
    assert all(line.startswith(" " * 8) and len(line) <= 8 + 88 for line in more)
    words = [word for line in (first, *more) for word in line[8:].split()]
    assert words == text.split()
