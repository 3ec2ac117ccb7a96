"""Specs as pydantic models, YAML files with line numbers, and error messages with remedies."""
