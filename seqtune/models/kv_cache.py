"""What attention has to remember, in memory that is taken once."""

from jaxtyping import Float
from torch import Tensor


class Buffer:
    """Buffer of numbers, [B, H, n, D], that are added to at the end and read whole.

    Memory for `capacity` rows is taken with the first; whenever it is full, for twice as many.
    """

    def __init__(self, *, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self._memory: Tensor | None = None

    def extend(self, new: Float[Tensor, "B H N D"]) -> Float[Tensor, "B H M D"]:
        """Adds rows; returns all that there are, a view that later calls leave as it is."""
        start, stop = self.count, self.count + new.shape[2]
        memory = self._memory_for(stop, like=new)
        memory[:, :, start:stop] = new
        self.count = stop
        return memory[:, :, :stop]

    def _memory_for(self, rows: int, *, like: Tensor) -> Tensor:
        if self._memory is not None and rows <= self.capacity:
            return self._memory
        while self.capacity < rows:
            self.capacity *= 2
        batch, heads, _, width = like.shape
        memory = like.new_empty(batch, heads, self.capacity, width)
        if self._memory is not None:
            memory[:, :, : self.count] = self._memory[:, :, : self.count]
        self._memory = memory
        return memory


class KVCache:
    """What one layer remembers of the tokens read.

    Attributes:
        keys: as queries meet them: with their position, where that is part of a key.
        values: likewise.
        forgotten: by head, the logarithm of what is left of the first token; for encodings that forget.
    """

    def __init__(self, *, capacity: int) -> None:
        self.keys = Buffer(capacity=capacity)
        self.values = Buffer(capacity=capacity)
        self.forgotten = Buffer(capacity=capacity)
