"""What every member of `ModelSpec` can do."""

import abc
from typing import TYPE_CHECKING

from seqtune.config.spec import Spec

if TYPE_CHECKING:
    from seqtune.models.base import SequenceModel


class NetworkSpec(Spec):
    """Describes a network. Specs stand apart from what they build: reading a file needs no torch."""

    @abc.abstractmethod
    def build(
        self, *, vocab_size: int, outputs: int, max_length: int, prompt_length: int = 0
    ) -> "SequenceModel":
        """A network with fresh weights, drawn from torch's global generator.

        Args:
            vocab_size: tokens that it may read.
            outputs: tokens that it may predict.
            max_length: the most tokens that it has to read.
            prompt_length: tokens at the beginning of every string that are given and not predicted;
                0 where there are none.
        """

    def products(self, *, outputs: int) -> int | None:
        """Multiplications of one token's matrix products, forward.

        None where they depend on how many tokens there are; they are then counted as the network is run.
        """
        return None
