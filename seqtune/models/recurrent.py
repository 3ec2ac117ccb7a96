"""Recurrent networks: torch's kernels for sequences, `cells.py` for single tokens."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seqtune.models.base import SequenceModel
from seqtune.models.cells import (
    GRUCell,
    LSTMCell,
    Product,
    RecurrentCell,
    RNNCell,
    load_memory,
    stack_memory,
)
from seqtune.models.recurrent_spec import LSTMSpec

KERNELS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
CELLS = {"lstm": LSTMCell, "gru": GRUCell, "rnn": RNNCell}

MIN_FUSED_LENGTH = 8
"""From this many tokens on, one call of torch's kernel is faster than a step for each."""


@dataclass(eq=False)
class RecurrentState:
    """The recurrent state, and the weights in the layout that a step uses.

    Attributes:
        cells: one per layer, bottom up.
        head: matrix products of the head, bottom up.
    """

    cells: list[RecurrentCell]
    head: list[Product]


class Recurrent(SequenceModel[RecurrentState]):
    """The network that `LSTMSpec` describes.

    The layers are one torch module if nothing comes between them, so that one kernel computes them
    all, and one module each otherwise. The attribute is named after the cell.
    """

    recurrent = True

    def __init__(self, spec: LSTMSpec, *, vocab_size: int, outputs: int) -> None:
        super().__init__()
        self.spec = spec
        self.outputs = outputs
        self.embedding = nn.Embedding(vocab_size, spec.embedding)
        self.embedding_dropout = nn.Dropout(spec.dropout)
        self.add_module(spec.cell, _layers(spec))
        if spec.cell == "lstm":
            for kernel in self.kernels:
                _add_forget_bias(kernel, bias=spec.forget_bias)
        if spec.layer_norm:
            self.norms = nn.ModuleList(nn.LayerNorm(spec.width) for _ in range(spec.layers))
        self.output_dropout = nn.Dropout(spec.dropout)
        hidden = [
            layer
            for _ in range(spec.head_layers)
            for layer in (nn.Linear(spec.width, spec.width), nn.GELU())
        ]
        if spec.tie_embeddings:
            assert outputs <= vocab_size, "every predicted token has an embedding"
            self.head = nn.Sequential(*hidden)
            self.output_bias = nn.Parameter(torch.zeros(outputs))
            bound = spec.width**-0.5  # as torch initialises an output matrix
            nn.init.uniform_(self.embedding.weight, -bound, bound)
        else:
            self.head = nn.Sequential(*hidden, nn.Linear(spec.width, outputs))

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        lowest, *above = self.kernels
        if self._reads_one_hot():
            hidden = self._one_hot(tokens, kernel=lowest)
        else:
            hidden, _ = lowest(self.embedding_dropout(self.embedding(tokens)))
        below = self._layer_output(hidden, below=hidden, layer=0)
        for layer, kernel in enumerate(above, start=1):
            hidden, _ = kernel(below)
            below = self._layer_output(hidden, below=below, layer=layer)
        # torch's kernels write time-major; transposed, the head reads it without a copy.
        hidden = self.head(self.output_dropout(below).transpose(0, 1))
        logits = (
            functional.linear(hidden, *self._tied_output()) if self.spec.tie_embeddings else hidden
        )
        return logits.transpose(0, 1)

    @torch.no_grad()
    def hidden_states(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "L B T D"]:
        below = self.embedding(tokens)
        layers = []
        for layer in range(self.spec.layers):
            hidden, _ = self._single_layer(layer)(below)
            below = self._layer_output(hidden, below=below, layer=layer)
            layers.append(below)
        return torch.stack(layers)

    @torch.no_grad()
    def prefill(
        self, tokens: Int[Tensor, "B T"], *, state: RecurrentState | None = None
    ) -> tuple[Float[Tensor, "B V"], RecurrentState]:
        state = self.fresh_state(len(tokens)) if state is None else state
        if tokens.shape[1] >= MIN_FUSED_LENGTH:
            hidden = self._read(tokens, state=state)
        else:
            *_, hidden = [self._read_one(token, state=state) for token in tokens.unbind(1)]
        return _logits(hidden, head=state.head), state

    @torch.no_grad()
    def step(
        self, token: Int[Tensor, " B"], *, state: RecurrentState
    ) -> tuple[Float[Tensor, "B V"], RecurrentState]:
        return _logits(self._read_one(token, state=state), head=state.head), state

    def _read_one(self, token: Int[Tensor, " B"], *, state: RecurrentState) -> Float[Tensor, "B D"]:
        below = token
        for layer, cell in enumerate(state.cells):
            below = self._layer_output(cell.read(below), below=below, layer=layer)
        return below

    def _read(self, tokens: Int[Tensor, "B T"], *, state: RecurrentState) -> Float[Tensor, "B D"]:
        below = self.embedding(tokens)
        start = 0
        for layer, kernel in enumerate(self.kernels):
            cells = state.cells[start : start + kernel.num_layers]
            hidden, after = kernel(below, stack_memory(cells))
            load_memory(cells, memory=after)
            below = self._layer_output(hidden, below=below, layer=layer)
            start += kernel.num_layers
        return below[:, -1]

    def _reads_one_hot(self) -> bool:
        """Whether the lowest layer has a smaller product with one-hot tokens than embedded ones.

        The function is the same only without dropout in between. A GPU's kernel needs its weights
        in one block, as the module has them, and on the CPU torch has such a kernel only for the
        LSTM.
        """
        return (
            self.spec.cell == "lstm"
            and self.device.type == "cpu"
            and self.embedding.num_embeddings < self.embedding.embedding_dim
            and not (self.training and self.spec.dropout > 0)
        )

    def _one_hot(self, tokens: Int[Tensor, "B T"], *, kernel: nn.RNNBase) -> Float[Tensor, "B T D"]:
        """Apply an LSTM to one-hot tokens, with its input matrix multiplied by the embedding."""
        matrix, *others = [weight for of_layer in kernel.all_weights for weight in of_layer]
        rows = functional.one_hot(tokens.T, self.embedding.num_embeddings).to(matrix)
        zeros = matrix.new_zeros(kernel.num_layers, len(tokens), self.spec.width)
        weights = [matrix @ self.embedding.weight.T, *others]
        hidden, _, _ = torch.lstm(
            rows,
            (zeros, zeros),
            weights,
            has_biases=True,
            num_layers=kernel.num_layers,
            dropout=0.0,
            train=self.training,
            bidirectional=False,
            batch_first=False,
        )
        return hidden.transpose(0, 1)

    def _layer_output(self, hidden: Tensor, *, below: Tensor, layer: int) -> Tensor:
        """Return the output of a layer, or of all at once: with residual and norm."""
        if self.spec.residual and layer > 0:
            hidden = hidden + below
        return self.norms[layer](hidden) if self.spec.layer_norm else hidden

    @torch.no_grad()
    def fresh_state(self, batch: int) -> RecurrentState:
        """Return the state before the first token, with the weights in the layout for a step."""
        weights = [of_layer for kernel in self.kernels for of_layer in kernel.all_weights]
        embeddings = [self.embedding.weight, *[None] * (self.spec.layers - 1)]
        make = CELLS[self.spec.cell]
        linear = [layer for layer in self.head if isinstance(layer, nn.Linear)]
        head: list[tuple[Tensor, Tensor]] = [(layer.weight, layer.bias) for layer in linear]
        if self.spec.tie_embeddings:
            head.append(self._tied_output())
        return RecurrentState(
            cells=[
                make(of_layer, batch=batch, embedding=embedding)
                for of_layer, embedding in zip(weights, embeddings, strict=True)
            ],
            head=[Product(weight, bias=bias, rows=batch) for weight, bias in head],
        )

    @property
    def kernels(self) -> list[nn.RNNBase]:
        """The recurrent modules, bottom up."""
        module = getattr(self, self.spec.cell)
        return [module] if isinstance(module, nn.RNNBase) else list(module)

    def _single_layer(self, layer: int) -> nn.RNNBase:
        """Return one layer as a separate module."""
        kernels = self.kernels
        if len(kernels) == self.spec.layers:
            return kernels[layer]
        weights = kernels[0].all_weights[layer]
        # Built without initialising weights, which are copied next.
        single = KERNELS[self.spec.cell](
            weights[0].shape[1],
            self.spec.width,
            batch_first=True,
            device="meta",
            dtype=weights[0].dtype,
        ).to_empty(device=self.device)
        single.load_state_dict(dict(zip(single.state_dict(), weights, strict=True)))
        return single

    def _tied_output(self) -> tuple[Tensor, Tensor]:
        """Matrix and bias of the output with `tie_embeddings`."""
        return self.embedding.weight[: self.outputs], self.output_bias


def _layers(spec: LSTMSpec) -> nn.Module:
    """Return one torch module if nothing comes between the layers, else one per layer."""
    kernel = KERNELS[spec.cell]
    if spec.layers == 1 or not (spec.layer_norm or spec.residual):
        return kernel(spec.embedding, spec.width, num_layers=spec.layers, batch_first=True)
    inputs = [spec.embedding, *[spec.width] * (spec.layers - 1)]
    return nn.ModuleList(kernel(each, spec.width, batch_first=True) for each in inputs)


def _add_forget_bias(kernel: nn.RNNBase, *, bias: float) -> None:
    """Add to the forget gates; torch orders the gates input, forget, cell, output."""
    for _, _, of_input, _ in kernel.all_weights:
        of_input.detach().chunk(4)[1].add_(bias)


def _logits(hidden: Float[Tensor, "B D"], *, head: list[Product]) -> Float[Tensor, "B V"]:
    *below, output = head
    for product in below:
        hidden = functional.gelu(product(hidden))
    return output(hidden)
