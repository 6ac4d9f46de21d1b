"""The plan: which unknowns are drawn together and how, as flat arrays for the engine."""
