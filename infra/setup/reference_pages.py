#!/usr/bin/env python3
"""Writes the pages of docs/reference that the code itself can tell: files, lives, settings.

`--check` writes nothing and ends with 1 when a page is not what the code says; a test calls that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Settings
from models import lives
from models.kinds import INBOUND, KINDS, OUTBOUND, Field, Kind

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
MADE = "<!-- Made from the code by `make docs`; a change here is lost. -->"
FILES = """\
One file per kind, agency and sequence number, named `{lender}.{agency}.{kind}.{yyyymmdd}.{sequence}.zip` and the
suffix of the sealing suite (`.age`, `.pgp`). Inside the ZIP: `datapackage.json` and one CSV (UTF-8, RFC 4180, one
header row). Dates are ISO 8601; instants carry their offset; amounts are decimal text with the currency's digits and
`.` as the point; ids are text. The words are those of the [glossary](../glossary.md)."""


def files_page() -> str:
    """Every kind of file, table and column, as models/kinds.py has them."""
    parts = [
        MADE,
        "# The files that go both ways",
        FILES,
        "## To the agency",
        *(kind_section(KINDS[name]) for name in KINDS if name in OUTBOUND),
        "## From the agency",
        *(kind_section(KINDS[name]) for name in KINDS if name in INBOUND),
    ]
    return "\n\n".join(parts) + "\n"


def kind_section(kind: Kind) -> str:
    """One kind: its table, its control sum and its columns."""
    control = f" The manifest states the sum of `{kind.control}` per currency." if kind.control else ""
    policy = (
        " Which of these columns are there, and how, is the release policy's to say."
        if kind.name == "placement"
        else ""
    )
    rows = ((f"`{f.name}`", f.type, "yes" if f.required else "", meaning(f)) for f in kind.fields)
    return f"### {kind.name}\n\nTable `{kind.table}.csv`.{control}{policy}\n\n" + table(
        ("column", "type", "required", "meaning"), rows
    )


def meaning(field: Field) -> str:
    """What a column means and what it may hold."""
    allowed = ", ".join(f"`{value}`" for value in field.one_of)
    return "; ".join(
        filter(None, (field.about, allowed and f"one of {allowed}", "unique in the file" if field.unique else ""))
    )


def lives_page() -> str:
    """A state diagram per life of models/lives.py: the table that enforces it also draws it."""
    told = {name: value for name, value in vars(lives).items() if name.isupper() and isinstance(value, Mapping)}
    parts = [
        MADE,
        "# Lives",
        "Every move that is allowed; any other is refused with both ends named (`models/lives.py`).",
    ]
    for name, moves in told.items():
        edges = [f"    [*] --> {next(iter(moves))}"]
        edges += [f"    {here} --> {there}" for here, onward in moves.items() for there in sorted(onward) or ["[*]"]]
        parts.append(f"## {name.capitalize()}\n\n```mermaid\nstateDiagram-v2\n" + "\n".join(edges) + "\n```")
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Every setting of infra/settings.py with its default."""
    rows = (
        (f"`{name}`", f"`CONSIGN_{name.upper()}`", default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    )
    return (
        f"{MADE}\n\n# Settings\n\nFrom `consign.toml` in the working folder, or from the environment, which wins.\n\n"
        + table(("in consign.toml", "in the environment", "default", "meaning"), rows)
        + "\n"
    )


def default(field: FieldInfo) -> str:
    """The default as a person would write it."""
    value = field.default
    return f"`{value}`" if value not in (None, "") else ""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main(arguments: list[str]) -> int:
    """0 when the pages are (now) what the code says."""
    pages = {"files.md": files_page(), "lives.md": lives_page(), "settings.md": settings_page()}
    stale = [name for name, text in pages.items() if read(FOLDER / name) != text]
    if "--check" in arguments:
        if stale:
            print(f"docs/reference is not what the code says: {', '.join(stale)}; run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(pages[name], encoding="utf-8")
    return 0


def read(path: Path) -> str:
    """The page as it stands, empty where there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
