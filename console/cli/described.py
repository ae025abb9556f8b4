"""Every command and option in a page of the docs: `python -m console.cli.described docs/reference/commands.md`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from typer import Context

from console.cli.main import HOUSE, MONEY, PARTS, RULES, WORK, command_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer._click.core import Command  # Typer carries its own Click

EVERYWHERE: Final = frozenset({"--json", "--help", "--dry-run"})
"""Options that are told once, at the head of the page."""
NOTE: Final = re.compile(r"\s*\[([^\[\]]*)\]$")
"""What stands behind a parameter's help: required, default, bounds."""
HEAD: Final = """\
# Commands

Every `consign` command with what it takes, made from the command line itself by `make docs`. Data go to stdout, talk to
stderr; exit codes: 0 ok, 1 fault, 2 usage, 3 findings (rejects, breaks), 4 configuration, 5 the other side, 6 refused
by policy.

Every command takes `--help` and `--json` (one JSON object on stdout); `consign -v` talks more on stderr, `consign
--version` says the version. A command marked *dry run* takes `--dry-run`: it says what would change, and changes
nothing.
"""


def described() -> str:
    """The page, in Markdown: parts by their panel, each command with its arguments and options."""
    told = [HEAD]
    for panel in (WORK, MONEY, RULES, HOUSE):
        told.append(f"## {panel}\n")
        for part in PARTS:
            if part.panel == panel:
                told.append(f"### consign {part.name}\n\n{part.help}\n")
                told += [_section(words, command) for words, command in _leaves([part.name], command_of(part.name))]
    return "\n".join(told)


def commands() -> list[str]:
    """Every command that help lists, by its words: `plan create`."""
    return [" ".join(words) for part in PARTS for words, _ in _leaves([part.name], command_of(part.name))]


def _leaves(words: list[str], command: Command) -> Iterator[tuple[list[str], Command]]:
    """The commands that do something, with the words that call them, in the order in which help lists them."""
    inner: dict[str, Command] | None = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, one in inner.items():
        if not one.hidden:
            yield from _leaves([*words, name], one)


def _section(words: list[str], command: Command) -> str:
    """One command: how it is called, what it does, a row for each thing that it takes."""
    context = Context(command, info_name=words[-1])
    called, rows, is_dry = ["consign", *words], [], False
    for param in command.get_params(context):
        record = param.get_help_record(context)
        is_dry = is_dry or "--dry-run" in param.opts
        if record is None or EVERYWHERE.intersection(param.opts):
            continue
        rows.append(_row(*record))
        name = record[0].split()[0]
        if param.param_type_name == "argument":
            called.append(name.upper() if param.required else f"[{name.upper()}]")
        elif param.required:
            called.append(f"{name} …")
    about = " ".join((command.help or "").split())
    lines = [f"#### `{' '.join(called)}`\n", about + (" *Dry run.*" if is_dry else ""), ""]
    if rows:
        lines += ["| | meaning | |", "|---|---|---|"]
        lines += [f"| `{_cell(shown)}` | {_cell(means)} | {_cell(note)} |" for shown, means, note in rows]
        lines.append("")
    return "\n".join(lines)


def _row(shown: str, told: str) -> tuple[str, str, str]:
    """What is written, what it means, and what help notes behind it: required, default, bounds."""
    noted = NOTE.search(told)
    return shown, told[: noted.start()] if noted else told, noted[1] if noted else ""


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(described(), encoding="utf-8")
