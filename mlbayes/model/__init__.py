"""The model graph: what a script and its data mean, with every default that the language adds."""
