"""Data files to columns: reading, computed columns and selection of rows."""
