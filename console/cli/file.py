"""`consign file`: check a file as the gateway would, explain a code, list what came."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import Json, emit, say
from models.errors import Findings, UsageError

app = typer.Typer(no_args_is_help=True)


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="An unsealed package (.zip) or one table (.csv).")],
    kind: Annotated[str, typer.Option(help="For a .csv: which kind of file it is.")] = "",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say what the gateway would say of this file, line by line; nothing is stored and no server is asked."""
    from infra.filecheck import check_file

    if not path.is_file():
        message = f"no file {path}"
        raise UsageError(message, fix="name a package (.zip) or a table (.csv)")
    found = check_file(path, kind, datetime.now(UTC).date())
    emit(found.rejects, title=f"{path.name}: {found.lines} lines, {found.refused} refused")
    if found.refused:
        message = f"{found.refused} of {found.lines} lines would be refused"
        raise Findings(message, fix="the table says line, column, code and fix; `consign file explain CODE` says more")
    say(f"{path.name} would be accepted: {found.lines} lines")


@app.command()
def explain(
    code: Annotated[str, typer.Argument(help="A code from a receipt; empty for all.")] = "",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Explain a refusal code."""
    from models.checking import CODES

    if code and code not in CODES:
        import difflib

        near = ", ".join(difflib.get_close_matches(code, CODES)) or "see `consign file explain`"
        message = f"no code {code!r}"
        raise UsageError(message, fix=near)
    emit([{"code": name, "fix": fix} for name, fix in CODES.items() if code in {"", name}], title="Codes")


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
        table.c.refusal_code, table.c.finding, table.c.received_at,
    )  # fmt: skip
    if agency:
        chosen = chosen.where(table.c.agency == agency)
    if refused:
        chosen = chosen.where(or_(table.c.state == "refused", table.c.rows_refused > 0))
    with desk().database.read() as connection:
        emit(bulk.read(connection, chosen.order_by(table.c.file_id.desc()).limit(500)), title="Files")
