"""How many strings of a batch are worked on at once where not all of them fit into memory.

Found by trying: a batch is cut into as few parts as can be worked on, and one more. On CUDA running out of memory is an
error that can be caught; on a CPU it is one only where the process may not have more (a limit, no
overcommitment): elsewhere the system ends whoever asked for too much, and nothing can be found.
"""

import gc
from collections.abc import Callable

import torch

CPU_MESSAGE = "can't allocate memory"
"""In what torch says when it gets no memory of the host."""


def out_of_memory(error: Exception) -> bool:
    """Whether that is what an error of torch's, of NumPy's or of Python's says."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or CPU_MESSAGE in str(error)


def largest_that_fits(strings: int, *, work: Callable[[int], None]) -> int:
    """The size of the parts of a batch when it is cut into as few as can be worked on, and one more.

    The one more is for what a later step holds beside its work: the optimizer's state, batches made ahead,
    gaps in memory. A batch that fits as a whole is not cut.

    Args:
        strings: of the batch.
        work: does the work of a step on the first so many strings.

    Raises:
        RuntimeError: torch's own, if not even one string can be worked on.
    """
    parts = 1
    while not fits(_size(strings, parts), work=work):
        if parts >= strings:
            work(1)
        parts *= 2
    failed = parts // 2
    while parts - failed > 1:
        middle = (failed + parts) // 2
        if fits(_size(strings, middle), work=work):
            parts = middle
        else:
            failed = middle
    return _size(strings, parts + 1 if failed else parts)


def fits(size: int, *, work: Callable[[int], None]) -> bool:
    """Whether so many strings can be worked on."""
    try:
        work(size)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
    else:
        return True
    # Outside the handler: the error holds on to the tensors of the frames that it went through.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False


def _size(strings: int, parts: int) -> int:
    return -(-strings // min(parts, strings))
