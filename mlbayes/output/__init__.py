"""The result document as text, JSON and saved files; nothing is computed here."""
