"""Follow a page of documentation word for word: its commands, its files, and its output.

The first words of a fenced block say what it is:

- `sh`: commands to run in a terminal, in order;
- any language and a file name (`yaml gates.yaml`): a file to write;
- `python notebook`: cells of a notebook, whose expressions are printed;
- `text`: output of the block before it, and `text FILE` an excerpt of a file. A line of `...` means
  any lines, `...` within a line anything. Integers must agree, decimals nearly, durations
  not at all.
- `text like`: output of the block before it, with any numbers. Of a line with a model's completion
  (after `SEAM`) only the prompt must agree.
"""

import math
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

from seqtune.tasks.generative_evaluation import SEAM

COLUMNS = 120
"""Width of the terminal in which commands run."""

DURATION = r"\d[\d.,]* (?:s|min|h)\b"
NUMBER = r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])"
NUMBERS = r"-?\d[\d .,/]*"
RELATIVE, ABSOLUTE = 0.5, 0.05
"""How far a decimal may be from the one shown: models differ from machine to machine."""

NOTEBOOK = """
import ast, sys
*before, cell = sys.argv[1:]
names = {}
for each in before:
    exec(each, names)
exec(compile(ast.Interactive(ast.parse(cell).body), "notebook", "single"), names)
"""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: the first word after the fence.
        about: the words after it.
        text: its content, ended by a line break.
        before: the paragraph above it.
    """

    language: str
    about: str
    text: str
    before: str

    @property
    def file(self) -> str | None:
        """The file to write."""
        is_file = self.language not in ("sh", "text") and self.about != "notebook"
        return self.about if is_file else None


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    found: list[Block] = []
    end = 0
    for match in re.finditer(r"^```(\w+) ?(.*)\n((?:.*\n)*?)```$", page, flags=re.MULTILINE):
        paragraph = page[end : match.start()].strip().rpartition("\n\n")[2]
        found.append(Block(match[1], match[2], match[3], before=paragraph))
        end = match.end()
    return found


class Reader:
    """Follows a page block by block."""

    def __init__(
        self, directory: Path, *, environment: Mapping[str, str], skipped: Sequence[str]
    ) -> None:
        """Start in a directory.

        Args:
            directory: where commands run and files are written.
            environment: of the commands.
            skipped: commands that are not run.
        """
        self._directory = directory
        self._environment = environment
        self._skipped = skipped
        self._cells: list[str] = []
        self._seen = ""

    def follow(self, block: Block) -> None:
        """Do what a block says, or compare what it shows with the output so far."""
        if block.file is not None:
            (self._directory / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            self._run(block.text)
        elif block.about == "notebook":
            self._cells.append(block.text)
            self._capture([sys.executable, "-c", NOTEBOOK, *self._cells])
        elif block.about in ("", "like"):
            self._compare(block, self._seen)
        else:
            self._compare(block, (self._directory / block.about).read_text(encoding="utf-8"))

    def _run(self, commands: str) -> None:
        if commands.strip() not in self._skipped:
            self._capture(["bash", "-e", "-c", commands])

    def _capture(self, command: Sequence[str]) -> None:
        status, self._seen = on_a_terminal(
            command, directory=self._directory, environment=self._environment
        )
        assert status == 0, f"{command[-1]}\nended with status {status}:\n{self._seen}"

    def _compare(self, block: Block, seen: str) -> None:
        missing = first_missing(block.text, seen=seen, like=block.about == "like")
        assert missing is None, f"the page shows\n{missing}\nbut there is\n{seen}"


def on_a_terminal(
    command: Sequence[str], *, directory: Path, environment: Mapping[str, str]
) -> tuple[int, str]:
    """Run a command in a terminal; return its exit status and output, frame after frame."""
    own, its = pty.openpty()
    ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command, cwd=directory, env=environment, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    written = bytearray()
    try:
        # Not to the end of the file: what a command leaves behind may hold the terminal open.
        while process.poll() is None or select.select([own], [], [], 0)[0]:
            if select.select([own], [], [], 0.1)[0]:
                try:
                    written += os.read(own, 1 << 16)
                except OSError:  # Linux raises it when the other end is closed
                    break
        return process.wait(), _plain(written.decode(errors="replace"))
    finally:
        process.kill()
        os.close(own)


def _plain(written: str) -> str:
    """Remove colours; what a terminal would overwrite stays, on lines of its own."""
    frames = re.sub(r"\x1b\[\d*[AK]|\r\n|\r", "\n", written)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", frames))


def first_missing(shown: str, *, seen: str, like: bool = False) -> str | None:
    """Return the first lines of `shown` that are missing from `seen`, in order; None if none are.

    Lines that follow one another in `shown` must do so in `seen`, empty ones aside.
    """
    lines = _lines(seen)
    place = 0
    for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE):
        wanted = _lines(part)
        starts = range(place, len(lines) - len(wanted) + 1)
        agreeing = (
            start
            for start in starts
            if all(
                _agree(line, seen=lines[start + row], like=like) for row, line in enumerate(wanted)
            )
        )
        found = next(agreeing, None)
        if found is None:
            return "\n".join(wanted)
        place = found + len(wanted)
    return None


def _lines(text: str) -> list[str]:
    squeezed = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in squeezed if line]


def _agree(shown: str, *, seen: str, like: bool) -> bool:
    """Whether a line agrees with the one shown."""
    if like:
        if SEAM in shown:
            return shown[1:].partition(SEAM)[0] == seen[1:].partition(SEAM)[0]
        return re.fullmatch(_pattern(shown, free=NUMBERS), seen) is not None
    parts = rf"{DURATION}|{NUMBER}"
    match = re.fullmatch(_pattern(shown, free=parts), seen)
    if match is None:
        return False
    pairs = zip(re.findall(parts, shown.replace("...", " ")), match.groups(), strict=True)
    return all(_close(*pair) for pair in pairs)


def _pattern(shown: str, *, free: str) -> str:
    """Return a regular expression with a group for every match of `free`, and .* for `...`."""
    pieces: list[str] = []
    for text in shown.split("..."):
        ends = [0, *(end for found in re.finditer(free, text) for end in found.span()), len(text)]
        fixed = [re.escape(text[ends[i] : ends[i + 1]]) for i in range(0, len(ends), 2)]
        pieces.append(f"({free})".join(fixed))
    return ".*".join(pieces)


def _close(shown: str, seen: str) -> bool:
    if re.fullmatch(DURATION, shown) or re.fullmatch(DURATION, seen):
        return bool(re.fullmatch(DURATION, shown) and re.fullmatch(DURATION, seen))
    wanted, got = (float(number.replace(",", "")) for number in (shown, seen))
    if re.fullmatch(r"-?[\d,]+", shown):
        return wanted == got
    return math.isclose(wanted, got, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
