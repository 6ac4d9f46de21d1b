"""Script text to syntax tree: the only package that knows how a script is written."""
