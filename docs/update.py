"""Renew the generated tables of language.md: `python docs/update.py` from the root of the repository."""

from __future__ import annotations

from pathlib import Path

from mlbayes.language.reference import render_reference

MANUAL = Path(__file__).parent / "language.md"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"


def renewed(text: str) -> str:
    """The manual with the tables as they should be."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{render_reference()}\n{END}{after}"


if __name__ == "__main__":
    MANUAL.write_text(renewed(MANUAL.read_text(encoding="utf-8")), encoding="utf-8")
