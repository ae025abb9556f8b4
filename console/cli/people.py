"""`consign people`: who may sign in to the console."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.output import Json, emit, say

app = typer.Typer(no_args_is_help=True)
token_app = typer.Typer(no_args_is_help=True)
app.add_typer(token_app, name="token", help="Tokens for programs that use the API.")

Name = Annotated[str, typer.Argument(help="The name to act under, as roles have it.", show_default=False)]


@app.command()
def add(
    name: Name,
    agency: Annotated[
        str | None, typer.Option(help="The agency whose person this is; it sees that agency's pages alone.")
    ] = None,
    vouched: Annotated[
        str | None, typer.Option(help="No password: the house of oidc_issuer vouches, under this name of its own.")
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Give somebody an account; the password is asked for, and must be changed at the first sign-in."""
    from infra.people import accounts
    from infra.wiring import desk

    at = desk()
    accounts.add(at, name, None if vouched else _password(), agency=agency, vouched=vouched)
    emit({"actor": name, "agency": agency, "vouched": vouched, "by": at.actor}, title="Account made")
    if agency is None:
        say(f"What {name} may do say the roles: `consign role grant {name} ROLE`")


@app.command("list")
def list_(json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """List who has an account, with roles, second factor, and when each was last seen."""
    from infra.people import accounts
    from infra.wiring import desk

    rows = [row | {"roles": ", ".join(row["roles"])} for row in accounts.listed(desk())]
    emit(rows, title="People", columns=["actor", "agency", "state", "roles", "second_factor", "issuer", "seen_at"])


@app.command()
def disable(name: Name, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """End somebody's account: signed out everywhere, and nobody signs in under the name."""
    _set_state(name, "disabled")


@app.command()
def enable(name: Name, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Let somebody whose account was ended sign in again."""
    _set_state(name, "active")


@app.command()
def password(name: Name, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Give somebody a new password, to be changed at the next sign-in."""
    from infra.people import accounts
    from infra.wiring import desk

    at = desk()
    accounts.set_password(at, name, _password())
    emit({"actor": name, "by": at.actor}, title="New password")


@app.command()
def totp(
    name: Name,
    forget: Annotated[bool, typer.Option("--forget", help="The authenticator is lost: it counts no more.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Say whether somebody has an authenticator, and how many recovery codes are left; or forget it."""
    from infra.people import accounts, second_factor
    from infra.wiring import desk

    at = desk()
    if forget:
        second_factor.forget(at, name)
    with at.database.read() as connection:
        row = accounts.found(connection, name)
    told = {"actor": name, "authenticator": row.totp_confirmed, "recovery_codes": second_factor.left(at, name)}
    emit(told, title="Second factor")


@app.command()
def sessions(
    name: Name,
    end: Annotated[bool, typer.Option("--end", help="End them all.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List where somebody is signed in; or end all of it."""
    from infra.people import accounts
    from infra.people import sessions as kept
    from infra.wiring import desk

    at = desk()
    if end:
        accounts.sign_out(at, name)
    rows = [
        {name_: getattr(row, name_) for name_ in ("session_id", "address", "browser", "begun_at", "seen_at", "ends_at")}
        for row in kept.listed(at, name)
    ]
    emit(rows, title=f"Where {name} is signed in")


def _set_state(name: str, state: str) -> None:
    from infra.people import accounts
    from infra.wiring import desk

    at = desk()
    accounts.set_state(at, name, state)
    emit({"actor": name, "state": state, "by": at.actor}, title="Account")


def _password() -> str:
    """Asked for twice, and shown nowhere; from CONSIGN_NEW_PASSWORD where a program calls."""
    import os

    told: str = os.environ.get("CONSIGN_NEW_PASSWORD", "") or typer.prompt(
        "Password", hide_input=True, confirmation_prompt=True, err=True
    )
    return told


@token_app.command("make")
def make_token(
    name: Annotated[str, typer.Argument(help="What it is for, as `reporting`.")],
    person: Annotated[
        str | None, typer.Option("--for", help="Whose it is; yourself, unless you are administrator.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="What it reaches, as plans.see, plans.* or *.see; repeat. Default: all.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it counts.")] = 90,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Make a token; it is shown once, here, and kept nowhere."""
    from infra.people import tokens
    from infra.wiring import desk

    at = desk()
    emit(tokens.make(at, person or at.actor, name, scopes=scope or (), days=days), title="Token")
    say("it is shown this once: put it where the program finds it, and nobody else")


@token_app.command("list")
def list_tokens(
    person: Annotated[str | None, typer.Option("--for", help="Only this person's.")] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List the tokens that count; never the tokens themselves."""
    from infra.people import tokens
    from infra.wiring import desk

    rows = [dict(row._mapping) for row in tokens.listed(desk(), person)]  # noqa: SLF001 - SQLAlchemy's public name
    emit(rows, title="Tokens", columns=["token_id", "actor", "name", "scopes", "made_at", "ends_at", "used_at"])


@token_app.command("revoke")
def revoke_token(
    token: Annotated[int, typer.Argument(metavar="TOKEN", help="Its number, as `list` shows it.")],
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """End a token at once."""
    from infra.people import tokens
    from infra.wiring import desk

    tokens.revoke(desk(), token)
    emit({"token_id": token, "state": "revoked"}, title="Token")
