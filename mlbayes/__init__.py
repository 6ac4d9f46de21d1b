"""Bayesian multilevel models with incomplete data, written in a small command language."""

__version__ = "0.1.0"
