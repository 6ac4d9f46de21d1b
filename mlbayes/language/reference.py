"""The tables of the manual, rendered from the tables that the parser reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlbayes.language.commands import COMMANDS, FUNCTIONS, OPTIONS, SAVE, Keyword


def render_reference() -> str:
    """All tables as one markdown text, each below its heading."""
    sections = [
        ("Commands", render_commands()),
        ("Keywords of OPTIONS", render_keywords(OPTIONS)),
        ("Keywords of SAVE", render_keywords(SAVE)),
        ("Functions", render_functions()),
    ]
    return "\n\n".join(f"## {title}\n\n{table}" for title, table in sections) + "\n"


def render_commands() -> str:
    """The table of commands."""
    rows = (
        (_spelled(f"{name}:" for name in (row.name, *row.aliases)), row.body.form, row.default, row.help)
        for row in COMMANDS
    )
    return _table(("command", "body", "default", "purpose"), rows)


def render_keywords(keywords: Iterable[Keyword]) -> str:
    """A table of keywords."""
    return _table(("keyword", "effect"), ((_spelled((row.name, *row.aliases)), row.help) for row in keywords))


def render_functions() -> str:
    """The table of functions."""
    rows = ((f"`{row.name}`", row.arguments, row.meaning) for row in FUNCTIONS)
    return _table(("function", "takes", "meaning"), rows)


def _spelled(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
