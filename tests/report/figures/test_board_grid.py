from dataclasses import replace

import pytest

from seqtune.report.data.sample_selection import CellSamples
from seqtune.report.figures.board_grid import evenly, sheets
from seqtune.tasks.generative_evaluation import GenerationResult
from tests.report.made import boards, texts


def answer(name: str, examination: GenerationResult) -> CellSamples:
    return CellSamples(name, label=name, cell=name, run=f"run-{name}", epoch=3, result=examination)


@pytest.mark.parametrize(
    ("count", "chosen"), [(6, [0, 2, 4, 7, 9, 11]), (1, [0]), (0, []), (20, list(range(12)))]
)
def test_items_are_taken_evenly(count: int, chosen: list[int]):
    assert evenly(range(12), count=count) == chosen


def test_cells_that_were_asked_the_same_share_a_sheet():
    [sheet] = sheets([answer("a", boards(size=4, wrong=0)), answer("b", boards(size=4, wrong=2))])
    assert [cell.name for cell in sheet.cells] == ["a", "b"]
    assert [row.title for row in sheet.rows] == ["drawn", "glider", "block"]
    right, wrong = sheet.rows[0].answers
    assert right is not None
    assert wrong is not None
    assert (right.verdict, wrong.verdict) == ("right", "2 wrong")


def test_boards_of_other_sizes_are_on_other_sheets():
    found = sheets([answer("a", boards(size=4, wrong=0)), answer("b", boards(size=6, wrong=0))])
    assert [sheet.shape for sheet in found] == [(4, 4), (6, 6)]


def test_a_truth_never_stands_beside_a_prediction_of_another():
    found = sheets(
        [answer("a", boards(size=4, wrong=0)), answer("b", boards(size=4, wrong=0, seed=1))]
    )
    assert [len(sheet.cells) for sheet in found] == [1, 1]


def test_samples_of_all_cells_come_first_and_others_are_marked_as_not_asked():
    more = boards(size=4, wrong=0, titles=("x", "drawn", "glider"))
    fewer = replace(more, samples=more.samples[1:])
    [sheet] = sheets([answer("fewer", fewer), answer("more", more)])
    assert [row.title for row in sheet.rows] == ["drawn", "glider", "x"]
    assert sheet.rows[2].answers[0] is None


def test_a_sheet_has_six_of_many_samples():
    titles = [str(number) for number in range(20)]
    [sheet] = sheets([answer("a", boards(size=4, wrong=0, titles=titles))])
    assert (len(sheet.rows), sheet.kept) == (6, 20)
    assert sheet.rows[-1].title == "19"


def test_texts_are_on_no_sheet():
    assert sheets([answer("a", texts(["one"]))]) == []


def test_a_board_is_data_in_digits():
    [sheet] = sheets([answer("a", boards(size=2, wrong=1, titles=("drawn",)))])
    data = sheet.data()
    assert data["panel"].tolist() == ["prompt", "truth", "prediction"]
    assert data["run"].fillna("").tolist() == ["", "", "run-a"]
    truth, prediction = data["board"].tolist()[1:]
    assert prediction == str(3 - int(truth[0])) + truth[1:]
