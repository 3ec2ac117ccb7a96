"""From a sweep file to its cells, checked before anything runs."""
