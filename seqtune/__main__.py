"""Run the command line with `python -m seqtune`."""

from seqtune.cli import app

app(prog_name="seqtune")
