"""Recursive grammars, made finite by a cap on the length of strings."""
