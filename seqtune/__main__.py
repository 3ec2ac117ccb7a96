"""`python -m seqtune` is `seqtune`."""

from seqtune.cli import app

app(prog_name="seqtune")
