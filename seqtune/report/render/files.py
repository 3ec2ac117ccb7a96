"""Sections -> Markdown, and their figures and tables -> files."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow
from pyarrow import csv

from seqtune.report.data.results import Results
from seqtune.report.figures import theme
from seqtune.report.figures.probes import probes
from seqtune.report.naming import labels
from seqtune.report.sections.section import Figure, Listing, Section, Table
from seqtune.training.probes import ProbeResult

FIGURES, TABLES = "figures", "tables"
"""Folders of the figures' files and of the tables' data, beside the report."""
ROWS_TOGETHER = 500_000
"""Of a long frame that is written, so that its text is not held whole."""


def markdown(results: Results, *, sections: Iterable[Section]) -> str:
    """The whole report."""
    blocks = [f"# {escaped(results.name)}"]
    if results.question:
        blocks.append(f"**{escaped(results.question.strip())}**")
    figures, tables, listings = 0, 0, 0
    for section in sections:
        blocks.append(f"## {escaped(section.title)}")
        blocks += [f"**{escaped(alarm)}**" for alarm in section.alarms]
        blocks += [escaped(paragraph) for paragraph in section.paragraphs]
        for figure in section.figures:
            figures += 1
            blocks += _figure(figure, number=figures)
        for table in section.tables:
            tables += bool(table.caption)
            blocks += _table(table.shortened(), number=tables)
        for listing in section.listings:
            listings += 1
            blocks += _listing(listing, number=listings)
    return "\n\n".join(blocks) + "\n"


def write_figure(figure: Figure, *, folder: Path) -> None:
    """Writes a figure as PNG, SVG and Vega-Lite specification (.vl.json), and its data as CSV.

    The specification is for restyling: its `config` is the style, and the Vega editor or Altair
    draws it again.
    """
    svg = theme.svg(figure.chart)
    (folder / f"{figure.name}.svg").write_text(svg, encoding="utf-8")
    (folder / f"{figure.name}.png").write_bytes(theme.png(svg))
    restyled = {**figure.chart, "config": theme.config()}
    text = json.dumps(restyled, indent=1, ensure_ascii=False)
    (folder / f"{figure.name}.vl.json").write_text(text + "\n", encoding="utf-8")
    write_csv(figure.data, path=folder / f"{figure.name}.csv")


def write_probes(
    readings: Sequence[ProbeResult],
    *,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    title: str,
    caption: str,
    folder: Path,
) -> list[Path]:
    """Writes the figure of linear probes as PNG and SVG and its numbers as CSV; returns the paths.

    Each takes the place of one of its name when it is whole.

    Args:
        readings: of every layer of one run, by target, level and layer.
        rows: the same for the CSV file, each with how it was measured.
        name: stem of the files.
        title: of the figure.
        caption: what was fitted and scored and how far it may be off, to stand below the figure.
        folder: where they are written.

    Raises:
        OSError: if they cannot be written there, with a name.
    """
    data = pd.DataFrame(rows).astype({"layer": "Int64"})
    chart = probes(readings, title=title, caption=caption)
    figure = Figure(name, title, caption=caption, chart=chart, data=data)
    paths = [folder / f"{name}.{suffix}" for suffix in ("csv", "png", "svg")]
    try:
        with TemporaryDirectory(dir=folder, prefix=f".{name}.") as partial:
            write_figure(figure, folder=Path(partial))
            for path in paths:
                (Path(partial) / path.name).replace(path)
    except OSError as error:
        # A full disk does not say which file had no room.
        raise OSError(error.errno, error.strerror or str(error), str(paths[0])) from error
    return paths


def write_csv(frame: pd.DataFrame, *, path: Path) -> None:
    """Writes a frame with the digits it takes to read the same numbers back; missing is empty."""
    frame.to_csv(path, index=False, lineterminator="\n")


def write_long_csv(frame: pd.DataFrame, *, path: Path) -> None:
    """Writes a long frame of numbers and categories of text as `write_csv` does, but faster.

    A number is written as briefly as it can be read back: 10 for 10.0.
    """
    texts = [
        text for name in frame.select_dtypes("category") for text in frame[name].cat.categories
    ]
    quoting = "needed" if any(re.search(r'[",\r\n]', text) for text in texts) else "none"
    options = csv.WriteOptions(include_header=False, quoting_style=quoting)
    with path.open("wb") as file:
        file.write((",".join(map(str, frame)) + "\n").encode())
        for start in range(0, len(frame), ROWS_TOGETHER):
            part = frame.iloc[start : start + ROWS_TOGETHER]
            csv.write_csv(pyarrow.Table.from_pandas(part, preserve_index=False), file, options)


def write_parquet(frame: pd.DataFrame, *, path: Path) -> None:
    """Writes a frame with its types; a column of numbers and text together is written as text."""
    written = frame.copy(deep=False)
    for name in frame:
        if frame[name].dtype == object:
            written[name] = frame[name].map(str, na_action="ignore").astype("str")
    written.to_parquet(path, index=False)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    line = " ".join(text.split())
    line = line.replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    line = re.sub(r"([`*|~$])", r"\\\1", line)
    # Inside a word an underscore is a letter, and a bracket needs a second one to be a link.
    line = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)
    line = re.sub(r"\](?=[(\[])", r"\\]", line)
    # At the start of a line these would open a list, a heading or a quotation.
    line = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)
    return re.sub(r"^([#>+=-])", r"\\\1", line)


def _figure(figure: Figure, *, number: int) -> Iterator[str]:
    path = f"{FIGURES}/{figure.name}"
    links = f"[SVG]({path}.svg), [Vega-Lite]({path}.vl.json), [data]({path}.csv)"
    yield f"![{escaped(figure.title)}]({path}.png)"
    yield f"**Figure {number}.** {escaped(figure.caption)} ({links})"


def _table(table: Table, *, number: int) -> Iterator[str]:
    if table.caption:
        data = f" ([data]({TABLES}/{table.name}.csv))" if table.name else ""
        yield f"**Table {number}.** {escaped(table.caption)}{data}"
    frame = table.frame
    fields = [[_field(value) for value in row] for row in frame.itertuples(index=False)]
    right = [all(_is_number(field) for field in column) for column in zip(*fields, strict=True)]
    rows = [
        [escaped(str(name)) for name in frame],
        ["---:" if each else "---" for each in right],
        *fields,
    ]
    yield "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _listing(listing: Listing, *, number: int) -> Iterator[str]:
    yield f"**Listing {number}.** {escaped(listing.caption)}"
    # A line break inside a line would begin a line of its own.
    lines = [" ".join(line.splitlines()) for line in listing.lines]
    # Only a fence as long as the opening one closes it.
    longest = max((len(found) for line in lines for found in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield "\n".join((f"{fence}text", *lines, fence))


def _field(value: object) -> str:
    return escaped(value) if isinstance(value, str) else labels.number(value, digits=4)


def _is_number(field: str) -> bool:
    return re.fullmatch(r"(\\?-)?[\d,.]*(e-?\d+)?", field) is not None
