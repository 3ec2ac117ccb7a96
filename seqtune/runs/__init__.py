"""One recorded run: its spec, its directory, its TensorBoard events, its cost."""
