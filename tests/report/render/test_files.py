import math
from pathlib import Path

import pandas as pd
import pytest

from seqtune.report import load
from seqtune.report.render import files
from seqtune.report.render.page import page
from seqtune.report.sections.section import MOST_ROWS, Listing, Section, Table
from tests.report.made import make_run


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("a | b", "a \\| b"),
        ("two\nlines", "two lines"),
        ("`code`", "\\`code\\`"),
        ("<b> & c", "&lt;b> &amp; c"),
        ("lstm_vs_tree _x_", "lstm_vs_tree \\_x\\_"),
        ("*bold*", "\\*bold\\*"),
        ("[text](address)", "[text\\](address)"),
        ("[0.1, 0.2]", "[0.1, 0.2]"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "1\\. no list"),
        ("0.5", "0.5"),
        ("a\\b", "a\\\\b"),
    ],
)
def test_names_are_shown_as_they_are(text: str, markdown: str):
    assert files.escaped(text) == markdown


def test_a_table_aligns_numbers_and_leaves_missing_ones_empty(tmp_path: Path):
    make_run(tmp_path, "a", compared={})
    frame = pd.DataFrame({"name": ["a|b", "c"], "value": [0.123456, math.nan]})
    section = Section(title="One", paragraphs=("Text.",), tables=(Table("What.", frame),))
    text = files.markdown(load(tmp_path), sections=[section])
    assert text == (
        "# made\n\n**How deep?**\n\n## One\n\nText.\n\n**Table 1.** What.\n\n"
        "| name | value |\n| --- | ---: |\n| a\\|b | 0.1235 |\n| c |  |\n"
    )


def test_a_listing_stands_as_it_is(tmp_path: Path):
    make_run(tmp_path, "a", compared={})
    lines = ("a | b  *c*", "<b>d</b> &amp; \\e", "  # f")
    section = Section(title="One", listings=(Listing("What, with a | b.", lines),))
    text = files.markdown(load(tmp_path), sections=[section])
    assert text.endswith(
        "**Listing 1.** What, with a \\| b.\n\n```text\na | b  *c*\n<b>d</b> &amp; \\e\n  # f\n```\n"
    )


def test_no_line_of_a_listing_ends_it(tmp_path: Path):
    make_run(tmp_path, "a", compared={})
    listing = Listing("What.", ("```", "a `b` ````", "~~~", "c\n```\r````\u2028d"))
    text = files.markdown(load(tmp_path), sections=[Section(title="One", listings=(listing,))])
    _, inside = text.split("`````text\n")
    assert inside == "```\na `b` ````\n~~~\nc ``` ```` d\n`````\n"


def test_parquet_files_keep_types_and_write_mixtures_as_text(tmp_path: Path):
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None], dtype="Int64"),
            "number": [0.1, math.nan],
            "mixed": pd.Series([1, "rotary"], dtype=object),
            "run": pd.Categorical(["a", "b"]),
        }
    )
    files.write_parquet(frame, path=tmp_path / "f.parquet")
    back = pd.read_parquet(tmp_path / "f.parquet")
    assert back["whole"].tolist()[0] == 1
    assert back["number"].tolist()[0] == 0.1
    assert back["number"].isna().tolist() == [False, True]
    assert back["mixed"].tolist() == ["1", "rotary"]
    assert back["run"].tolist() == ["a", "b"]


def test_a_long_frame_reads_back_as_it_was(tmp_path: Path):
    frame = pd.DataFrame(
        {
            "run": pd.Categorical(["a", 'b, "c"', "a"]),
            "epoch": [1, 2, 2**60],
            "seconds": [10.0, 0.1 + 0.2, 1e-300],
            "value": [math.nan, math.inf, -1e22],
        }
    )
    files.write_long_csv(frame, path=tmp_path / "long.csv")
    files.write_csv(frame, path=tmp_path / "slow.csv")
    long, slow = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("long", "slow"))
    pd.testing.assert_frame_equal(long, slow, check_exact=True)
    assert (tmp_path / "long.csv").read_text().splitlines()[0] == "run,epoch,seconds,value"


def test_a_long_frame_is_written_in_parts_with_one_header(tmp_path: Path):
    count = files.ROWS_TOGETHER + 1
    frame = pd.DataFrame({"run": pd.Categorical(["a"] * count), "value": range(count)})
    files.write_long_csv(frame, path=tmp_path / "long.csv")
    lines = (tmp_path / "long.csv").read_text().splitlines()
    assert lines == ["run,value", *(f"a,{number}" for number in range(count))]
    files.write_long_csv(frame.head(0), path=tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == "run,value\n"


def test_a_table_of_thousands_of_rows_is_cut_and_says_so(tmp_path: Path):
    make_run(tmp_path, "a", compared={})
    results = load(tmp_path)
    frame = pd.DataFrame({"number": range(10 * MOST_ROWS)})
    section = Section(title="One", tables=(Table("Many.", frame, name="many", data=frame),))
    text = files.markdown(results, sections=[section])
    assert "Many. The first 1,000 of 10,000 rows are shown;" in text
    assert text.count("\n| ") == MOST_ROWS + 2
    assert page(results, sections=[section]).count("<tr>") == MOST_ROWS + 1
    whole = Table("Few.", frame.head(MOST_ROWS))
    assert whole.shortened() is whole
