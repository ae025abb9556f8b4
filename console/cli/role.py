"""`consign role`: who has which role; give one, take one away."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import Json, emit

app = typer.Typer(no_args_is_help=True)

Actor = Annotated[str, typer.Argument(help="Who: the login name, or what CONSIGN_ACTOR says.", show_default=False)]
Role = Annotated[
    str,
    typer.Argument(help="portfolio_manager, compliance, finance, operations or administrator.", show_default=False),
]


@app.command("list")
def list_(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List who has which role, since when, and from whom."""
    from infra import roles
    from infra.wiring import desk
    from models.roles import ABOUT

    rows = [row | {"about": ABOUT[row["role"]][0]} for row in roles.listed(desk())]
    emit(rows, title="Roles", columns=["role", "actor", "granted_by", "granted_at", "about"])


@app.command()
def grant(actor: Actor, role: Role, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Give somebody a role. An administrator does so, and not for his own name."""
    from infra import roles
    from infra.wiring import desk

    at = desk()
    new = roles.grant(at, actor, role)
    emit({"actor": actor, "role": role, "new": new, "by": at.actor}, title="Role given" if new else "As it was")


@app.command()
def revoke(actor: Actor, role: Role, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Take a role away from somebody. The last administrator stays."""
    from infra import roles
    from infra.wiring import desk

    at = desk()
    roles.revoke(at, actor, role)
    emit({"actor": actor, "role": role, "by": at.actor}, title="Role taken away")
