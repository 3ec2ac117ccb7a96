"""The LSTM: torch's fused kernel for whole sequences, and a step of its own for one token at a time.

The step is what scheduled sampling and generation spend their time in. It reads the first layer's gate
inputs from a table (embedding, input weights and both biases folded into one row a token), holds each
layer's input and hidden state side by side so that a layer is one matrix product, and works in place.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqtune.models.model import SequenceModel
from seqtune.models.recurrent_spec import LSTMSpec


@dataclass(eq=False)
class LSTMState:
    """What the network remembers, and its weights laid out for the step.

    Attributes:
        table: gate inputs of the first layer by token, [vocabulary, 4 x width].
        weights: by layer, [inputs, 4 x width]: recurrent alone in the first, input and recurrent after.
        biases: by layer above the first, [4 x width].
        joined: by layer, what its matrix product reads, [B, inputs]; ends in the layer's hidden state.
        cells: by layer, [B, width].
    """

    table: Tensor
    weights: list[Tensor]
    biases: list[Tensor]
    joined: list[Tensor]
    cells: list[Tensor]


class LSTM(SequenceModel[LSTMState]):
    """See `LSTMSpec`."""

    recurrent = True

    def __init__(self, spec: LSTMSpec, *, vocab_size: int, outputs: int) -> None:
        super().__init__()
        self.width = spec.width
        self.embedding = nn.Embedding(vocab_size, spec.embedding)
        self.embedding_dropout = nn.Dropout(spec.dropout)
        self.lstm = nn.LSTM(spec.embedding, spec.width, num_layers=spec.layers, batch_first=True)
        with torch.no_grad():
            for layer in range(spec.layers):
                # The gates of torch's LSTM: input, forget, cell, output.
                bias = getattr(self.lstm, f"bias_ih_l{layer}")
                bias[spec.width : 2 * spec.width] += spec.forget_bias
        self.output_dropout = nn.Dropout(spec.dropout)
        hidden = [
            layer
            for _ in range(spec.head_layers)
            for layer in (nn.Linear(spec.width, spec.width), nn.GELU())
        ]
        self.head = nn.Sequential(*hidden, nn.Linear(spec.width, outputs))

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        hidden, _ = self.lstm(self.embedding_dropout(self.embedding(tokens)))
        return self.head(self.output_dropout(hidden))

    @torch.no_grad()
    def hidden_states(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "L B T D"]:
        below = self.embedding(tokens)
        layers = []
        for layer in range(self.lstm.num_layers):
            alone = nn.LSTM(below.shape[-1], self.width, batch_first=True).to(below)
            names = dict(alone.named_parameters())
            alone.load_state_dict(
                {name: getattr(self.lstm, f"{name[:-1]}{layer}") for name in names}
            )
            below, _ = alone(below)
            layers.append(below)
        return torch.stack(layers)

    @torch.no_grad()
    def prefill(
        self, tokens: Int[Tensor, "B T"], *, state: LSTMState | None = None
    ) -> tuple[Float[Tensor, "B V"], LSTMState]:
        state = self._fresh_state(len(tokens)) if state is None else state
        hiddens = torch.stack([joined[:, -self.width :] for joined in state.joined])
        outputs, (hiddens, cells) = self.lstm(
            self.embedding(tokens), (hiddens, torch.stack(state.cells))
        )
        for layer, (hidden, cell) in enumerate(zip(hiddens, cells, strict=True)):
            state.joined[layer][:, -self.width :] = hidden
            state.cells[layer].copy_(cell)
        return self.head(outputs[:, -1]), state

    @torch.no_grad()
    def step(
        self, token: Int[Tensor, " B"], *, state: LSTMState
    ) -> tuple[Float[Tensor, "B V"], LSTMState]:
        width = self.width
        below: Tensor | None = None
        for layer, (joined, cell) in enumerate(zip(state.joined, state.cells, strict=True)):
            if below is None:
                gates = state.table[token].addmm_(joined, state.weights[layer])
            else:
                joined[:, :width] = below
                gates = torch.addmm(state.biases[layer - 1], joined, state.weights[layer])
            gates[:, : 3 * width].sigmoid_()
            gates[:, 3 * width :].tanh_()
            taken, kept, shown, new = gates.chunk(4, dim=1)
            cell.mul_(kept).addcmul_(taken, new)
            below = joined[:, -width:]
            torch.mul(cell.tanh(), shown, out=below)
        assert below is not None, "an LSTM has at least one layer"
        return self.head(below), state

    def _fresh_state(self, batch: int) -> LSTMState:
        """Nothing read yet; the weights laid out for the step."""
        width = self.width
        # From torch's order of gates to (in, forget, out, new): one sigmoid covers the first three.
        i, f, g, o = torch.arange(4 * width, device=self.device).chunk(4)
        order = torch.cat([i, f, o, g])
        layers = range(self.lstm.num_layers)

        def part(name: str, layer: int) -> Tensor:
            return getattr(self.lstm, f"{name}_l{layer}")[order]

        biases = [part("bias_ih", layer) + part("bias_hh", layer) for layer in layers]
        recurrent = [part("weight_hh", layer).T for layer in layers]
        weights = [recurrent[0]] + [
            torch.cat([part("weight_ih", layer).T, recurrent[layer]]) for layer in layers[1:]
        ]
        table = torch.addmm(biases[0], self.embedding.weight, part("weight_ih", 0).T)
        zeros = self.embedding.weight.new_zeros
        return LSTMState(
            table=table,
            weights=[weight.contiguous() for weight in weights],
            biases=biases[1:],
            joined=[zeros(batch, len(weight)) for weight in weights],
            cells=[zeros(batch, width) for _ in layers],
        )
