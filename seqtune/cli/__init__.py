"""The command line: one module per command, which parses, calls and prints.

Results go to stdout, progress and errors to stderr. Exit status: 0 success, 1 some runs failed,
2 invalid file or arguments, 130 interrupted. Modules import torch, Ray and pandas inside functions,
so that help and errors in a file appear at once.
"""

from seqtune.cli import (
    compare,
    describe,
    evaluate,
    generate,
    plan,
    probe,
    report,
    schema,
    sweep,
    tensorboard,
    train,
)
from seqtune.cli.app import app

__all__ = [
    "app",
    "compare",
    "describe",
    "evaluate",
    "generate",
    "plan",
    "probe",
    "report",
    "schema",
    "sweep",
    "tensorboard",
    "train",
]
