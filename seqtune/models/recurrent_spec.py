"""Which recurrent network."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from seqtune.models.network_spec import NetworkSpec

if TYPE_CHECKING:
    from seqtune.models.model import SequenceModel


class LSTMSpec(NetworkSpec):
    """Embedding, dropout, LSTM, dropout, and a head of `head_layers` hidden GELU layers.

    Source: Hochreiter & Schmidhuber 1997; the head is that of the experiment described in README.md.
    """

    kind: Literal["lstm"] = "lstm"
    layers: int = Field(default=1, ge=1)
    width: int = Field(default=64, ge=1)
    """Hidden units of every LSTM layer and of every hidden layer of the head."""
    embedding: int = Field(default=32, ge=1)
    head_layers: int = Field(default=0, ge=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability of dropping a unit after the embedding and after the last LSTM layer."""
    forget_bias: float = 0.0
    """Added to the fresh bias of every forget gate: the larger it is, the longer a cell remembers before it
    has learned to. At 0 it halves at every step; Jozefowicz et al. 2015 recommend 1."""

    def build(
        self, *, vocab_size: int, outputs: int, max_length: int, prompt_length: int = 0
    ) -> "SequenceModel":
        from seqtune.models.lstm import LSTM

        return LSTM(self, vocab_size=vocab_size, outputs=outputs)
