"""Builds the task that a spec describes, so that specs need not import the tasks."""

from typing import assert_never

from seqtune.tasks import TaskSpec
from seqtune.tasks.base import Task
from seqtune.tasks.cfg.spec import CfgSpec
from seqtune.tasks.cfg.task import CfgTask
from seqtune.tasks.life.spec import LifeSpec
from seqtune.tasks.life.task import LifeTask
from seqtune.tasks.text.spec import TextSpec
from seqtune.tasks.text.task import TextTask


def build_task(spec: TaskSpec) -> Task:
    """Return the task that a spec describes.

    Raises:
        FileError: if a text cannot be read.
    """
    match spec:
        case CfgSpec():
            return CfgTask(spec)
        case LifeSpec():
            return LifeTask(spec)
        case TextSpec():
            return TextTask(spec)
        case _:
            assert_never(spec)
