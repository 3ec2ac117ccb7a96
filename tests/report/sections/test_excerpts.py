from seqtune.report.sections.excerpts import excerpt, lines
from seqtune.tasks.generative_evaluation import SEAM, Sample


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


def test_a_string_is_marked_where_it_goes_wrong():
    wrong = Sample("1", "3 1 2", False, wrong_at=4, reason="only 3 can follow")
    early = Sample("2", "3 1", False, wrong_at=3, reason="ends here")
    assert lines([wrong, early])[1:] == (
        "1       no     3 1 ⟨wrong: only 3 can follow⟩ 2",
        "2       no     3 1 ⟨wrong: ends here⟩",
    )


def test_a_long_text_is_cut_at_its_end():
    assert excerpt(Sample("1", "ab" * 300)) == "ab" * 150 + "…"


def test_of_a_prompt_the_end_is_kept_and_of_a_completion_the_beginning():
    text = excerpt(Sample("1", "a" * 150 + "b" * 100 + SEAM + "c" * 200 + "d"))
    assert text == "…" + "b" * 100 + SEAM + "c" * 200 + "…"


def test_the_place_where_a_long_text_goes_wrong_is_kept():
    text = "a" * 150 + "b" * 200 + "c" * 100 + "d"
    sample = Sample("1", text, False, wrong_at=350, reason="why")
    assert excerpt(sample) == "…" + "b" * 200 + "⟨wrong: why⟩" + "c" * 100 + "…"


def test_a_prompt_may_be_wrong_itself():
    sample = Sample("1", "ab" + SEAM + "c" * 200, False, wrong_at=1, reason="why")
    assert excerpt(sample) == "a⟨wrong: why⟩b" + SEAM + "c" * 98 + "…"


def test_a_full_line_is_broken_between_words():
    text = "word  and " * 12
    first, *more = lines([Sample("1", text)])[1:]
    assert first.startswith("1       word  and ")
    assert all(line.startswith(" " * 8) and len(line) <= 8 + 88 for line in more)
    words = [word for line in (first, *more) for word in line[8:].split()]
    assert words == text.split()
