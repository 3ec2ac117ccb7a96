"""How a model learns: forcing, optimizers, the loop, its scores and its checkpoints."""
