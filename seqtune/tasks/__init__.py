"""What is learned. A task is a file or folder, an entry in `TaskSpec`, and one in `build.py`."""

from typing import Annotated, TypeAlias

from seqtune.config.unions import ByKind, members
from seqtune.tasks.base import LanguageSpec
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.text.spec import TextSpec

TaskSpec: TypeAlias = Annotated[CfgSpec | LifeSpec | TextSpec, ByKind()]

TASK_SPECS = tuple(spec for spec in members(TaskSpec) if issubclass(spec, LanguageSpec))
"""The classes in `TaskSpec`."""
