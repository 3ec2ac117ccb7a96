"""Specs as pydantic models, YAML with line numbers, and error messages that say where and what instead."""
