"""What is learned. `TaskSpec` is the register: a task is one file and its entry here."""

from typing import Annotated, TypeAlias

from seqtune.spec import ByKind
from seqtune.tasks.cfg.task import CfgSpec

TaskSpec: TypeAlias = Annotated[CfgSpec, ByKind()]
