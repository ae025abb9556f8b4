"""`consign file`: check a file as the gateway would, explain a code, list what came."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.output import Json, emit, is_json, progress, say
from models.errors import Findings, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from connectors.layouts.profiles import Layout
    from infra.filecheck import FileCheck

app = typer.Typer(no_args_is_help=True)
SHOWN = 200
"""refusals on the screen; --json and --out have all"""


@app.command()
def check(
    path: Annotated[
        Path, typer.Argument(help="An unsealed package, one table of it (.csv), a plain file, or a folder of them.")
    ],
    kind: Annotated[str, typer.Option(help="Which kind of file it is, where its name does not say.")] = "",
    layout: Annotated[
        str, typer.Option(help="Of a plain file: the layout agreed, by name or as a .toml file. Needs no store.")
    ] = "",
    agency: Annotated[str, typer.Option(help="Check as a file of this agency, in its layout; asks the store.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Write what the receipt would say, as CSV.", show_default=False)
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say what the gateway would say of this file, line by line; nothing is stored and no server is asked."""
    from infra.filecheck import check_file, unnamed

    chosen = _layout(layout, agency)
    files = _files(path)
    today = datetime.now().astimezone().date()
    found: list[tuple[Path, FileCheck]] = []
    with progress(f"Checking {path.name}", total=len(files)) as bar:
        for file in files:
            try:
                found.append((file, check_file(file, kind, today, layout=chosen, agency=agency)))
            except UsageError:
                if file == path:
                    raise
                found.append((file, unnamed()))  # in a folder the name alone says what a file is, as at the gateway
            bar.advance()
    if out is not None:
        from infra.filecheck import as_receipt

        out.write_text(as_receipt(found), encoding="utf-8")
        say(f"what the receipt would say is in {out}")
    _tell(found)
    refused = sum(verdict.refused for _, verdict in found)
    if refused:
        lines = sum(verdict.lines for _, verdict in found)
        message = f"{refused} of {lines} lines would be refused"
        if any(verdict.whole for _, verdict in found):
            whole = [file.name for file, verdict in found if verdict.whole]
            message = f"refused as a whole: {', '.join(whole[:5])}" + (" …" if len(whole) > 5 else "")  # noqa: PLR2004 - a sentence's worth
        raise Findings(message, fix="the table says line, column, code and fix; `consign file explain CODE` says more")
    for file, verdict in found:
        say(f"{file.name} would be accepted: {verdict.lines} lines")


def _layout(layout: str, agency: str) -> Layout | None:
    """The layout to read with; None for packages."""
    if layout and agency:
        message = "--layout and --agency say the same thing twice"
        raise UsageError(message, fix="give --layout at an agency, --agency at the lender")
    if layout:
        from connectors.layouts.profiles import load_layout

        return load_layout(layout)
    if agency:
        from infra.layouts import of_agency
        from infra.wiring import desk

        return of_agency(desk(), agency)
    return None


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
        if files:
            return files
    elif path.is_file():
        return [path]
    message = f"no file {path}" if not path.is_dir() else f"nothing in {path}"
    raise UsageError(message, fix="name a package (.zip), a table (.csv), a plain file, or a folder of them")


def _tell(found: list[tuple[Path, FileCheck]]) -> None:
    told = [
        {
            "file": file.name, "verdict": verdict.verdict, "kind": verdict.kind, "layout": verdict.layout,
            "lines": verdict.lines, "refused": verdict.refused, "notes": list(verdict.notes),
            "sums": [{"currency": currency, "total_minor": total} for currency, total in verdict.sums.items()],
            "rejects": _told_of(verdict).to_dict("records"),
        }
        for file, verdict in found
    ]  # fmt: skip
    if is_json():
        emit(told[0] if len(told) == 1 else told)
        return
    for one, (_, verdict) in zip(told, found, strict=True):
        title = f"{one['file']}: {one['verdict']}; {one['lines']} lines, {one['refused']} refused"
        emit(_told_of(verdict).head(SHOWN), title=title)
        for note in verdict.notes:
            say(f"note: {note}")
        if len(verdict.rejects) > SHOWN:
            say(f"{len(verdict.rejects) - SHOWN} more; --out has them all")


def _told_of(verdict: FileCheck) -> pd.DataFrame:
    """The refusals without the cells themselves: a terminal is kept, and may be anybody's."""
    return verdict.rejects.drop(columns="sent")


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="A code from a receipt; empty for all.")] = "",
    zh: Annotated[bool, typer.Option("--zh", help="In Chinese 中文.", show_default=False)] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Explain a refusal code: what it means, an example, what to do."""
    from models.checking import CODES
    from models.explaining import explained

    if code and code not in CODES:
        import difflib

        near = ", ".join(difflib.get_close_matches(code, CODES)) or "see `consign file explain`"
        message = f"no code {code!r}"
        raise UsageError(message, fix=near)
    if code:
        emit(explained(code, zh=zh), title=code)
        return
    rows = [{"code": name, **explained(name, zh=zh)} for name in CODES]
    emit(rows, title="Codes", columns=("code", "refuses", "meaning", "fix"))


@app.command(name="list")
def list_(
    agency: Annotated[str | None, typer.Option(help="Only this agency.")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only files refused, or with lines refused.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List the files that came, newest first."""
    from sqlalchemy import or_, select

    from infra.store import bulk, exchange
    from infra.wiring import desk

    table = exchange.FILES
    chosen = select(
        table.c.file_id, table.c.name, table.c.state, table.c.rows, table.c.rows_refused,
        table.c.refusal_code, table.c.finding, table.c.layout, table.c.received_at,
    )  # fmt: skip
    if agency:
        chosen = chosen.where(table.c.agency == agency)
    if refused:
        chosen = chosen.where(or_(table.c.state == "refused", table.c.rows_refused > 0))
    with desk().database.read() as connection:
        emit(bulk.read(connection, chosen.order_by(table.c.file_id.desc()).limit(500)), title="Files")
