"""Reports: tables, figures and an answer, built from a sweep's run directories."""

from pathlib import Path

from seqtune.report.data.results import Results, load
from seqtune.report.render import files, replace_folder, tensorboard
from seqtune.report.render.page import page
from seqtune.report.sections import (
    alarm,
    answer,
    cells,
    comparison,
    curves,
    early_stopping,
    fairness,
    free_running,
    length_generalization,
    pareto,
    provenance,
    ranking,
    runs,
    samples,
    search,
)

SECTIONS = (
    alarm.section,
    answer.section,
    ranking.section,
    comparison.section,
    cells.section,
    free_running.section,
    curves.section,
    length_generalization.section,
    samples.section,
    fairness.section,
    pareto.section,
    search.section,
    early_stopping.section,
    runs.section,
    provenance.section,
)
"""The sections of a report in order: functions that map `Results` to a `Section` or None."""

__all__ = ["SECTIONS", "Results", "build", "load"]


def build(root: Path) -> Path:
    """Write the report on the runs below `root` to `root/report`, and return the path of report.md.

    The folder also gets report.html, which has the same contents and needs no other file;
    trials.csv, curves.csv, cells.csv and ranking.csv; figures/ with the files of each figure; and
    tables/ with the data of tables. Cells' mean curves go to `root/tensorboard`.

    Raises:
        FileError: if there is no such directory, or no run in it.
    """
    results = load(root)
    found = [section(results) for section in SECTIONS]
    sections = [section for section in found if section is not None]
    with replace_folder.replaced(root / "report") as new:
        files.write_csv(results.runs, path=new / "trials.csv")
        files.write_long_csv(results.curves, path=new / "curves.csv")
        for name, frame in (("trials", results.runs), ("curves", results.curves)):
            files.write_parquet(frame, path=new / f"{name}.parquet")
        files.write_csv(results.cells, path=new / "cells.csv")
        files.write_csv(results.ranking.frame(), path=new / "ranking.csv")
        figures, tables = new / files.FIGURES, new / files.TABLES
        figures.mkdir()
        for section in sections:
            for figure in section.figures:
                files.write_figure(figure, folder=figures)
            for table in section.tables:
                if table.name:
                    tables.mkdir(exist_ok=True)
                    files.write_csv(table.data, path=tables / f"{table.name}.csv")
        text = files.markdown(results, sections=sections)
        (new / "report.md").write_text(text, encoding="utf-8")
        (new / "report.html").write_text(page(results, sections=sections), encoding="utf-8")
    tensorboard.write(results, root=root)
    return root / "report" / "report.md"
