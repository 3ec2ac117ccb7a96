"""One recorded run: its spec, directory, TensorBoard events and cost."""
