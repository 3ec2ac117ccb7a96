"""The command line: parse, call, print. stdout is for results, stderr for progress and errors.

Exit status: 0 done, 1 some runs failed, 2 the file or the call is wrong, 130 interrupted.
"""

from seqtune.cli import ask, compare, evaluate, plan, running, schema, tensorboard
from seqtune.cli.app import app

__all__ = ["app", "ask", "compare", "evaluate", "plan", "running", "schema", "tensorboard"]
