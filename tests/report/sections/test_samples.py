"""The section on generated samples, and its figures as files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from seqtune.report import build, load
from seqtune.report.sections import samples
from seqtune.report.sections.samples import excerpt, sample_lines
from seqtune.report.sections.section import Section
from seqtune.tasks.generative_evaluation import CELLS, SEAM, GenerationResult, Sample
from seqtune.tasks.picture import PALETTE, rgb
from seqtune.tasks.score import Score
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


def pixels(path: Path, *, code: str) -> int:
    """How many pixels of a picture have exactly the colour of a cell."""
    picture = np.round(imread(path)[:, :, :3] * 255).astype(int)
    return int((picture == rgb(PALETTE[CELLS.index(code)])).all(axis=2).sum())


@pytest.mark.slow
@pytest.mark.parametrize(("size", "cells"), [(2, 1), (4, 4), (6, 9), (32, 9)])
def test_errors_are_drawn_in_their_colours(tmp_path: Path, size: int, cells: int):
    life(tmp_path, size=size, wrong=dict.fromkeys(range(1, cells + 1), size))
    figures = build(tmp_path).parent / "figures"
    legend = 400  # pixels of a patch, at most
    for code in ("wrongly dead", "wrongly alive"):
        assert pixels(figures / "boards.png", code=code) > legend + 10 * min(cells, 6)
    assert pixels(figures / "boards.png", code="missing") <= legend


def test_a_cell_is_as_many_pixels_as_any_other(tmp_path: Path):
    # All of a board is wrong, once as 2 x 2 and once as 32 x 32: the tile is filled to its edges.
    life(tmp_path, size=32, wrong={1: 1024})
    [chart, *_] = section_of(tmp_path).charts
    build(tmp_path)
    picture = imread(tmp_path / "report" / "figures" / "boards.png")
    box = chart.figure.axes[2].get_position()
    height, width = picture.shape[:2]
    sides = (box.width * width / 32, box.height * height / 32)
    assert sides == pytest.approx((round(sides[0]), round(sides[1])), abs=0.01)


def test_without_errors_only_the_legend_has_their_colours(tmp_path: Path):
    life(tmp_path, size=4, wrong={1: 0, 2: 0})
    build(tmp_path)
    assert pixels(tmp_path / "report" / "figures" / "boards.png", code="wrongly alive") <= 400


def test_boards_tell_run_epoch_and_n(tmp_path: Path):
    life(tmp_path, size=4, wrong={1: 3, 2: 0})
    chart = section_of(tmp_path).charts[0]
    assert chart.title == "4 x 4 boards predicted by the best run of each cell"
    assert "A row is one board (n = 1): its prompt and truth" in chart.caption
    assert "Runs, after epoch 2: layers 1: run-1; layers 2: run-2." in chart.caption
    texts_drawn = [text.get_text() for text in chart.figure.texts]
    assert {"prompt", "truth", "layers 1", "layers 2", "drawn", "glider"} <= set(texts_drawn)
    assert [axes.get_xlabel() for axes in chart.figure.axes[2:4]] == ["3 wrong", "right"]


def test_at_most_the_six_best_cells_are_shown(tmp_path: Path):
    life(tmp_path, size=2, wrong=dict.fromkeys(range(1, 10), 1))
    section = section_of(tmp_path)
    assert "the best runs of the 6 best cells (of 9, by the last value of valid/excess)" in (
        section.charts[0].caption
    )
    [table, *_] = section.tables
    assert list(table.frame) == [
        *("test set", "boards"),
        *(f"layers {layers}" for layers in range(4, 10)),
    ]


def test_roll_outs_are_lines_from_0_to_1(tmp_path: Path):
    life(tmp_path, size=4, wrong={1: 4, 2: 0})
    chart = section_of(tmp_path).charts[1]
    assert chart.name == "roll-outs"
    assert "boards (n = 3) that are right in every cell" in chart.caption
    cells, exact = chart.figure.axes
    assert (cells.get_title(loc="left"), exact.get_title(loc="left")) == (
        "cells right",
        "boards right in every cell",
    )
    assert cells.get_ylim() == exact.get_ylim() == (-0.02, 1.02)
    assert [list(line.get_ydata()) for line in exact.get_lines()] == [[0] * 5, [1] * 5]  # pyright: ignore[reportArgumentType]
    assert chart.data["cells"].tolist()[:2] == [0.75, 0.75**2]


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
    assert (section.charts, section.tables) == ((), ())
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
    assert section.charts[0].caption.endswith("Runs, after epoch 1: a; b.")


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
