"""Context-free grammars of known tree height, whose best possible score is known exactly."""
