"""Sections as Markdown, HTML and files."""
