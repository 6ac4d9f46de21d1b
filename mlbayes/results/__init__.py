"""Draws to results: diagnostics, derived rows and the result document."""
