"""What is learned. `TaskSpec` is the register: a task is one file and its entry here."""

from typing import Annotated, TypeAlias

from seqtune.config.unions import ByKind
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.text.spec import TextSpec

TaskSpec: TypeAlias = Annotated[CfgSpec | LifeSpec | TextSpec, ByKind()]
