"""The section on generated samples, and its figures as files."""

import base64
import json
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqtune.report import build, load
from seqtune.report.figures import theme
from seqtune.report.sections import samples
from seqtune.report.sections.samples import excerpt, sample_lines
from seqtune.report.sections.section import Section
from seqtune.tasks.generative_evaluation import CELLS, SEAM, GenerationResult, Sample
from seqtune.tasks.picture import PALETTE, rgb
from seqtune.tasks.score import Score
from tests.report.charts import channel, rows
from tests.report.made import boards, make_run, texts


def life(root: Path, *, size: int, wrong: dict[int, int]) -> None:
    """A cell for every number of layers, each with so many wrong cells in every board."""
    for layers, count in wrong.items():
        make_run(
            root,
            f"run-{layers}",
            excess=(1.0, 1.0 / layers),
            compared={"model.layers": layers},
            generated=boards(size=size, wrong=count),
        )


def section_of(root: Path) -> Section:
    found = samples.section(load(root))
    assert found is not None
    return found


def pixels(url: str) -> Counter[tuple[int, ...]]:
    """How many pixels of a board have which colour."""
    content = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    width, height = struct.unpack(">II", content[16:24])
    start = content.index(b"IDAT")
    size = int.from_bytes(content[start - 4 : start], "big")
    lines = zlib.decompress(content[start + 4 : start + 4 + size])
    image = np.frombuffer(lines, np.uint8).reshape(height, 1 + 3 * width)[:, 1:]
    return Counter(map(tuple, image.reshape(-1, 3).tolist()))


@pytest.mark.parametrize(("size", "cells"), [(2, 1), (4, 4), (6, 9), (32, 9)])
def test_errors_are_drawn_in_their_colours(tmp_path: Path, size: int, cells: int):
    life(tmp_path, size=size, wrong=dict.fromkeys(range(1, cells + 1), size))
    spec = section_of(tmp_path).figures[0].chart
    wrong = [rgb(PALETTE[CELLS.index(code)]) for code in ("wrongly dead", "wrongly alive")]
    verdict = f"{size} wrong"
    predicted = rows(spec, verdict=verdict)
    assert len(predicted) == 3 * min(cells, 6)
    for row in predicted:
        found = pixels(row["url"])
        # Every cell is as large as any other, and of the wrong ones there are as many as said.
        of_cells = sum(found[colour] for colour in map(rgb, PALETTE))
        assert sum(found[colour] for colour in wrong) * size**2 == of_cells * size
    assert f">{verdict}<" in theme.svg(spec)


def test_boards_without_errors_have_none_of_their_colours(tmp_path: Path):
    life(tmp_path, size=4, wrong={1: 0, 2: 0})
    spec = section_of(tmp_path).figures[0].chart
    for row in rows(spec):
        assert not pixels(row["url"])[rgb(PALETTE[CELLS.index("wrongly alive")])]


def test_boards_tell_run_epoch_and_n(tmp_path: Path):
    life(tmp_path, size=4, wrong={1: 3, 2: 0})
    chart = section_of(tmp_path).figures[0]
    assert chart.title == "4 x 4 boards predicted by the best run of each cell"
    assert "A row is one board (n = 1): its prompt and truth" in chart.caption
    assert "Runs, after epoch 2: layers 1: run-1; layers 2: run-2." in chart.caption
    drawn = rows(chart.chart)
    assert {row["column"] for row in drawn} == {"prompt", "truth", "layers 1", "layers 2"}
    assert {row["row"] for row in drawn} >= {"drawn", "glider"}
    assert [row["verdict"] for row in drawn[:4]] == ["", "", "3 wrong", "right"]


def test_at_most_the_six_best_cells_are_shown(tmp_path: Path):
    life(tmp_path, size=2, wrong=dict.fromkeys(range(1, 10), 1))
    section = section_of(tmp_path)
    assert "the best runs of the 6 best cells (of 9, by the last value of valid/excess)" in (
        section.figures[0].caption
    )
    [table, *_] = section.tables
    assert list(table.frame) == [
        *("test set", "boards"),
        *(f"layers {layers}" for layers in range(4, 10)),
    ]


def test_roll_outs_are_lines_from_0_to_1(tmp_path: Path):
    life(tmp_path, size=4, wrong={1: 4, 2: 0})
    chart = section_of(tmp_path).figures[1]
    assert chart.name == "roll-outs"
    assert "boards (n = 3) that are right in every cell" in chart.caption
    assert {row["panel"] for row in rows(chart.chart)} == {
        "cells right",
        "boards right in every cell",
    }
    shares = [row["share"] for row in rows(chart.chart, panel="cells right", name="layers 1")]
    assert shares == pytest.approx([0.75**step for step in range(1, 6)])
    assert channel(chart.chart, "y")["scale"]["domain"] == [0, 1]


def test_one_cell_has_every_column_of_its_tables(tmp_path: Path):
    life(tmp_path, size=4, wrong={1: 4})
    by_set, by_board = section_of(tmp_path).tables
    assert by_set.frame.to_dict("records")[0] == {
        **{"test set": "drawn", "boards": 1, "valid": "1", "cells": "0.750", "exact": "0"},
    }
    assert by_board.frame["wrong cells"].tolist() == [4, 4, 4]
    assert by_set.caption == "Scores by test set. Run: run-1, after epoch 2."


def test_cells_stand_beside_each_other_by_test_set(tmp_path: Path):
    life(tmp_path, size=4, wrong={1: 4, 2: 0})
    by_set, by_board = section_of(tmp_path).tables
    assert by_set.frame.to_dict("records")[1] == {
        "test set": "glider",
        "boards": 1,
        "layers 1": "0 (0.750)",
        "layers 2": "1 (1)",
    }
    assert by_board.caption.startswith("Roll-outs by board, of the best cell (layers=2).")


def test_a_table_of_another_task_is_shown_by_its_text_key(tmp_path: Path):
    rows = ({"length": "10 to 19", "strings": 30, "valid": 0.9},)
    numbers = ({"depth": 1, "valid": 0.5},)
    found = GenerationResult(
        {"generate/valid": Score(0.9, 10, 0.1)}, {"by length": rows, "by depth": numbers}, ()
    )
    make_run(tmp_path, "a", excess=(0.1,), compared={}, generated=found)
    [table] = section_of(tmp_path).tables
    assert table.frame.to_dict("records") == [
        {"length": "10 to 19", "strings": 30, "valid": "0.900"}
    ]


def test_texts_cannot_break_the_report(tmp_path: Path):
    wild = "a | b `c`\n```\n# d <script>e</script> <!-- \\ ````\r\n~~~ $f$ [g](h)\x00"
    make_run(tmp_path, "a", excess=(0.1,), compared={}, generated=texts([wild, "\n\n"]))
    text = build(tmp_path).read_text(encoding="utf-8")
    _, inside, after = text.split("`````")
    assert inside == (
        "text\nsample  text\n1       a | b `c`⏎```⏎"
        "# d <script>e</script> <!-- \\ ````⏎~~~ $f$ [g](h)␀\n"
        "2       ⏎⏎\n"
    )
    assert after.startswith("\n\n## Runs")


def test_texts_say_whether_they_are_right_and_how_many_are(tmp_path: Path):
    found = texts(["3 1 2", "1 1"], right=True)
    found = GenerationResult(
        {"generate/valid": Score(0.96875, 32, 0.03)}, found.tables, found.samples
    )
    for layers in (1, 2):
        make_run(
            tmp_path, f"run-{layers}", excess=(0.1, 0.2), compared={"model.layers": layers},
            generated=found,
        )  # fmt: skip
    section = section_of(tmp_path)
    assert (section.figures, section.tables) == ((), ())
    assert [listing.caption for listing in section.listings] == [
        f"layers={layers}. Run: run-{layers}, after epoch 2. generate/valid 0.969."
        for layers in (1, 2)
    ]
    assert section.listings[0].lines[1] == "1       yes    3 1 2"


def test_scores_of_runs_before_they_had_errors_are_read(tmp_path: Path):
    run = make_run(
        tmp_path, "a", excess=(0.1,), compared={}, generated=texts(["3 1 2"], right=True)
    )
    found = json.loads(run.generated.read_text())
    run.generated.write_text(json.dumps(found | {"scores": {"generate/valid": 0.5}}))
    assert "generate/valid 0.500." in section_of(tmp_path).listings[0].caption


def test_a_report_marks_where_a_string_goes_wrong(tmp_path: Path):
    wrong = Sample("1", "3 1 2 1", False, wrong_at=4, reason="only 1 can follow")
    found = GenerationResult({}, {}, samples=(wrong, Sample("2", "3 1", True)))
    make_run(tmp_path, "a", excess=(0.1,), compared={}, generated=found)
    text = build(tmp_path).read_text(encoding="utf-8")
    assert "1       no     3 1 ⟨wrong: only 1 can follow⟩ 2 1\n2       yes    3 1\n" in text


def test_the_same_run_is_shown_as_in_the_learning_curves(tmp_path: Path):
    compared = {"task.height": 2}
    for name, excess, phase in (("a", 0.1, "search"), ("b", 0.3, "confirm"), ("c", 0.2, "confirm")):
        make_run(
            tmp_path, name, excess=(excess,), compared=compared, phase=phase,
            generated=texts([f"by {name}"]),
        )  # fmt: skip
    results = load(tmp_path)
    assert results.best["run"].tolist() == list(results.generated) == ["c"]
    assert "by c" in section_of(tmp_path).listings[0].lines[1]


def test_runs_outside_any_sweep_are_not_called_the_best(tmp_path: Path):
    for name in ("a", "b"):
        make_run(tmp_path, name, excess=(0.1,), generated=boards(size=2, wrong=1))
    section = section_of(tmp_path)
    assert section.paragraphs == ("Generated by every finished run, after epoch 1.",)
    assert section.figures[0].caption.endswith("Runs, after epoch 1: a; b.")


def test_without_anything_generated_there_is_no_section(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,), compared={})
    make_run(tmp_path, "b", compared={}, state="failed", generated=texts(["lost"]))
    assert samples.section(load(tmp_path)) is None
    text = build(tmp_path).read_text(encoding="utf-8")
    assert "## Samples" not in text
    assert "## Learning curves" in text


def test_an_empty_generative_evaluation_has_no_section(tmp_path: Path):
    make_run(tmp_path, "a", excess=(0.1,), compared={}, generated=GenerationResult({}, {}, ()))
    assert samples.section(load(tmp_path)) is None


def test_boards_are_in_the_data_of_the_figure(tmp_path: Path):
    life(tmp_path, size=2, wrong={1: 1, 2: 0})
    build(tmp_path)
    data = pd.read_csv(tmp_path / "report" / "figures" / "boards.csv", dtype=str)
    assert len(data) == 3 * (2 + 2)
    assert data["board"].str.fullmatch(r"\d\d/\d\d").all()


def test_search_trials_are_called_so(tmp_path: Path):
    make_run(
        tmp_path, "a", excess=(0.1,), compared={}, phase="search", generated=texts(["a"])
    )  # fmt: skip
    [paragraph] = section_of(tmp_path).paragraphs
    assert paragraph.startswith("Generated by the best search trial, after epoch 1.")


def test_a_listing_says_what_is_right():
    samples = [Sample("1", "3 1", True), Sample("10", "2", False), Sample("x", "", None)]
    assert sample_lines(samples) == (
        "sample  right  text",
        "1       yes    3 1",
        "10      no     2",
        "x",
    )


def test_where_nothing_is_judged_there_is_no_column_for_it():
    assert sample_lines([Sample("1", "a\nb")]) == ("sample  text", "1       a⏎b")


def test_a_string_is_marked_where_it_goes_wrong():
    wrong = Sample("1", "3 1 2", False, wrong_at=4, reason="only 3 can follow")
    early = Sample("2", "3 1", False, wrong_at=3, reason="ends here")
    assert sample_lines([wrong, early])[1:] == (
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
    first, *more = sample_lines([Sample("1", text)])[1:]
    assert first.startswith("1       word  and ")
    assert all(line.startswith(" " * 8) and len(line) <= 8 + 88 for line in more)
    words = [word for line in (first, *more) for word in line[8:].split()]
    assert words == text.split()
