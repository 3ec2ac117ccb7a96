"""Sections -> one HTML file that needs nothing else: no network, no folder beside it.

Its script sorts tables, and draws the figures with Vega in light or dark colours. A policy in the
page itself forbids every request, and to compile text as code too: Vega interprets its expressions
instead (`ast`).
"""

import json
import math
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from seqtune.report.data.results import Results
from seqtune.report.figures import theme
from seqtune.report.naming import labels
from seqtune.report.naming.labels import is_missing
from seqtune.report.render.files import FIGURES, TABLES
from seqtune.report.sections.section import Figure, Listing, Section, Table

_TEMPLATES = files("seqtune.report.render") / "templates"


def page(results: Results, *, sections: Iterable[Section]) -> str:
    """The whole report."""
    sections = list(sections)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(_text("page.html"))
    drawn = any(each.figures for each in sections)
    return template.render(
        name=results.name,
        question=results.question.strip(),
        sections=list(_sections(sections)),
        style=Markup(_text("page.css")),
        script=Markup(_text("page.js")),
        configs={name: _script(theme.config(dark=name == "dark")) for name in ("light", "dark")},
        # Only the end of a script ends it, wherever it stands.
        vega=Markup(theme.runtime().replace("</script", "<\\/script")) if drawn else "",
    )


def _sections(sections: Iterable[Section]) -> Iterator[dict[str, Any]]:
    figures, tables, listings = 0, 0, 0
    for section in sections:
        found: dict[str, Any] = {"title": section.title, "paragraphs": section.paragraphs}
        found["alarms"] = section.alarms
        found["figures"], found["tables"], found["listings"] = [], [], []
        for figure in section.figures:
            figures += 1
            found["figures"].append(_figure(figure, number=figures))
        for table in section.tables:
            tables += bool(table.caption)
            found["tables"].append(_table(table.shortened(), number=tables if table.caption else 0))
        for listing in section.listings:
            listings += 1
            found["listings"].append(_listing(listing, number=listings))
        yield found


def _figure(figure: Figure, *, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "title": figure.title,
        "caption": figure.caption,
        "path": f"{FIGURES}/{figure.name}",
        "spec": _script(figure.chart),
    }


def _script(data: object) -> Markup:
    """JSON inside a script element, which no text in it can end."""
    return Markup(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))


def _table(table: Table, *, number: int) -> dict[str, Any]:
    frame = table.frame
    rows = [[_field(value) for value in row] for row in frame.itertuples(index=False)]
    numbers = [all(field["number"] for field in column) for column in zip(*rows, strict=True)]
    return {
        "number": number,
        "caption": table.caption,
        "path": f"{TABLES}/{table.name}.csv" if table.name else "",
        "columns": [
            {"name": str(name), "number": bool(rows) and numbers[index]}
            for index, name in enumerate(frame)
        ],
        "rows": rows,
    }


def _field(value: object) -> dict[str, Any]:
    """A field's text, and what it is sorted by where that is not the text."""
    if is_missing(value) or value is pd.NaT:
        return {"text": "", "sort": None, "number": True}
    if isinstance(value, str):
        number = _number(value)
        return {"text": value, "sort": number, "number": number is not None}
    text = labels.number(value, digits=4)
    return {"text": text, "sort": _finite(value), "number": True}


def _number(text: str) -> float | None:
    try:
        return _finite(text.replace(",", ""))
    except ValueError:
        return None


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _listing(listing: Listing, *, number: int) -> dict[str, Any]:
    # A line break inside a line would begin a line of its own.
    lines = (" ".join(line.splitlines()) for line in listing.lines)
    return {"number": number, "caption": listing.caption, "text": "\n".join(lines)}


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
