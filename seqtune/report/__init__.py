"""Many runs -> an answer: tables, figures and a report, built from the sweep's directory alone."""

from pathlib import Path

from seqtune.report.data import cell_curves
from seqtune.report.data.results import Results, load
from seqtune.report.render import files, replace_folder
from seqtune.report.render.page import page
from seqtune.report.sections import (
    alarm,
    audit,
    beyond,
    cells,
    comparison,
    curves,
    failures,
    fairness,
    free,
    measured,
    pareto,
    provenance,
    ranking,
    samples,
    search,
    states,
)

SECTIONS = (
    alarm.section,
    ranking.section,
    measured.section,
    comparison.section,
    free.section,
    curves.section,
    beyond.section,
    samples.section,
    fairness.section,
    pareto.section,
    search.section,
    audit.section,
    cells.section,
    states.section,
    failures.section,
    provenance.section,
)
"""What a report consists of, in order: each a function from `Results` to a `Section`, or to None."""

__all__ = ["SECTIONS", "Results", "build", "load"]


def build(root: Path) -> Path:
    """Writes the report on the runs below `root` to `root/report` and returns the path of report.md.

    Besides it: report.html, which says the same and needs no other file, trials.csv, curves.csv, cells.csv, ranking.csv, figures/ with a PNG, an SVG, a Vega-Lite specification and a CSV for each,
    and tables/ with the data of tables that have some of their own. And `root/tensorboard`, as `cell_curves` says.

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
    cell_curves.write(results, root=root)
    return root / "report" / "report.md"
