"""Spec of the recurrent networks."""

from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from seqtune.config.errors import problem
from seqtune.config.spec import Spec

CellName: TypeAlias = Literal["lstm", "gru", "rnn"]

GATES: dict[CellName, int] = {"lstm": 4, "gru": 3, "rnn": 1}
"""Number of input matrices of a layer; it has as many recurrent matrices."""


class LSTMSpec(Spec):
    """Embedding, dropout, recurrent layers, dropout, head with `head_layers` hidden GELU layers.

    Source: Hochreiter & Schmidhuber 1997 (LSTM); Cho et al. 2014 (GRU); Elman 1990 (RNN). The head
    is that of the experiment described in README.md.
    """

    kind: Literal["lstm"] = "lstm"
    cell: CellName = "lstm"
    """Type of the recurrent layers, as torch defines them; `rnn` uses tanh."""
    layers: int = Field(default=1, ge=1)
    width: int = Field(default=64, ge=1)
    """Hidden units of every recurrent layer and of every hidden layer of the head."""
    embedding: int = Field(default=32, ge=1)
    head_layers: int = Field(default=0, ge=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability of dropping a unit after the embedding and after the last recurrent layer."""
    tie_embeddings: bool = False
    """Whether the output matrix is the part of the embedding for the tokens that may be predicted.
    It is then initialised as an output matrix; the output has its own bias, initially 0 (Press &
    Wolf 2017)."""
    layer_norm: bool = False
    """Whether each layer's output (with `residual`, the sum with its input) is normalised over its
    units before the next layer or the head reads it. The recurrent state is not (Ba et al.
    2016)."""
    residual: bool = False
    """Whether each layer above the first adds its input to its output; no effect with one layer."""
    forget_bias: float = 0.0
    """Added to the initial bias of every forget gate: the larger it is, the longer an untrained
    cell remembers. At 0 its memory halves at every step; Jozefowicz et al. 2015 recommend 1."""

    @model_validator(mode="after")
    def _check(self) -> "LSTMSpec":
        if self.tie_embeddings and self.embedding != self.width:
            raise problem(
                "one matrix for both ends needs embedding == width, but got "
                f"(embedding={self.embedding}, width={self.width}); write embedding: {self.width}",
                at="tie_embeddings",
            )
        if self.cell != "lstm" and self.forget_bias != 0:
            raise problem(
                f"only an LSTM has a forget gate, but got (forget_bias={self.forget_bias:g}, "
                f"cell={self.cell}); write forget_bias: 0, or cell: lstm",
                at="forget_bias",
            )
        return self

    def multiplications(self, *, outputs: int) -> int:
        """Return the number of multiplications of one token's matrix products, forward."""
        inputs = [self.embedding, *[self.width] * (self.layers - 1)]
        layers = sum(GATES[self.cell] * self.width * (each + self.width) for each in inputs)
        return layers + self.head_layers * self.width**2 + self.width * outputs
