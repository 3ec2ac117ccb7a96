"""A page of documentation that is followed word for word: its commands, its files, and what it shows.

A page's fenced blocks say by their first words what they are:

- `sh`: commands, typed in order into a terminal;
- any language and a file's name (`yaml gates.yaml`): a file to be written;
- `python notebook`: cells of a notebook, whose expressions are shown;
- `text`: what the block before it printed, and `text FILE` an excerpt of a file. A line of `...` stands for any lines,
  `...` within a line for anything. Whole numbers are as shown, decimals about so, durations anything.
- `text like`: what the block before printed, with any numbers. Of a line with a model's completion (after `SEAM`)
  only the prompt is as shown.
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
"""Width of the terminal that commands are typed into."""

DURATION = r"\d[\d.,]* (?:s|min|h)\b"
NUMBER = r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])"
NUMBERS = r"-?\d[\d .,/]*"
RELATIVE, ABSOLUTE = 0.5, 0.05
"""How far a decimal may be from the one shown: another machine trains another model."""

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
        text: what stands in it, ended by a line break.
        before: the paragraph above it.
    """

    language: str
    about: str
    text: str
    before: str

    @property
    def file(self) -> str | None:
        """The file that is to be written."""
        is_file = self.language not in ("sh", "text") and self.about != "notebook"
        return self.about if is_file else None


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    end = 0
    for match in re.finditer(r"^```(\w+) ?(.*)\n((?:.*\n)*?)```$", page, flags=re.MULTILINE):
        paragraph = page[end : match.start()].strip().rpartition("\n\n")[2]
        found.append(Block(match[1], match[2], match[3], before=paragraph))
        end = match.end()
    return found


class Reader:
    """Somebody who follows a page."""

    def __init__(
        self, directory: Path, *, environment: Mapping[str, str], skipped: Sequence[str]
    ) -> None:
        """Begins in a directory.

        Args:
            directory: where commands are typed and files written.
            environment: of the commands.
            skipped: commands that are read and not typed.
        """
        self._directory = directory
        self._environment = environment
        self._skipped = skipped
        self._cells: list[str] = []
        self._seen = ""

    def follow(self, block: Block) -> None:
        """Does what a block says, or holds what it shows against what was seen."""
        if block.file is not None:
            (self._directory / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            self._type(block.text)
        elif block.about == "notebook":
            self._cells.append(block.text)
            self._see([sys.executable, "-c", NOTEBOOK, *self._cells])
        elif block.about in ("", "like"):
            self._hold(block, self._seen)
        else:
            self._hold(block, (self._directory / block.about).read_text(encoding="utf-8"))

    def _type(self, commands: str) -> None:
        if commands.strip() not in self._skipped:
            self._see(["bash", "-e", "-c", commands])

    def _see(self, command: Sequence[str]) -> None:
        status, self._seen = on_a_terminal(
            command, directory=self._directory, environment=self._environment
        )
        assert status == 0, f"{command[-1]}\nended with status {status}:\n{self._seen}"

    def _hold(self, block: Block, seen: str) -> None:
        missing = first_missing(block.text, seen=seen, like=block.about == "like")
        assert missing is None, f"the page shows\n{missing}\nbut there is\n{seen}"


def on_a_terminal(
    command: Sequence[str], *, directory: Path, environment: Mapping[str, str]
) -> tuple[int, str]:
    """Runs a command in a terminal: its exit status, and what it wrote there, a frame after the other."""
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
                except OSError:  # how Linux says that nobody is at the other end
                    break
        return process.wait(), _plain(written.decode(errors="replace"))
    finally:
        process.kill()
        os.close(own)


def _plain(written: str) -> str:
    """Without colours; what a terminal would overwrite stays, on lines of its own."""
    frames = re.sub(r"\x1b\[\d*[AK]|\r\n|\r", "\n", written)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", frames))


def first_missing(shown: str, *, seen: str, like: bool = False) -> str | None:
    """The first lines of what is shown that were not seen after those before them; None if all were.

    Lines that stand together in what is shown do so in what was seen, empty ones aside.
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
    """Whether a line is what was shown."""
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
    """A regular expression that has a group for everything that `free` finds, and .* for `...`."""
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
