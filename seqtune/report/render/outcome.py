"""What a machine is told of a report that was just written: where it is, and how the cells rank."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from seqtune.report.render import tensorboard


def outcome(root: Path) -> dict[str, Any]:
    """Paths and ranking, as plain data; missing is null.

    Args:
        root: where `build` has just written.
    """
    folder, cells = root / "report", root / tensorboard.FOLDER
    ranking = pd.read_csv(folder / "ranking.csv")
    return {
        "report": str(folder / "report.md"),
        "page": str(folder / "report.html"),
        "tensorboard": str(cells) if cells.exists() else None,
        "ranking": json.loads(ranking.to_json(orient="records", double_precision=15)),
    }
