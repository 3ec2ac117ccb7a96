"""The live table of a running sweep."""
