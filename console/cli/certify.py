"""`consign agency certify`: let an agency show what it can, see how it stands, hand over its certificate."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from console.cli.output import Json, confirmed, emit, progress, say
from models.errors import Findings, UsageError

app = typer.Typer(
    no_args_is_help=True, help="Certify an agency on synthetic accounts; see docs/how-to/certify-an-agency.md."
)

Code = Annotated[str, typer.Argument(help="The agency's code.")]


class Level(Enum):
    """What an agency can show; each level holds the one before it."""

    exchange = "exchange"
    work = "work"
    money = "money"


@app.command()
def start(
    code: Code,
    level: Annotated[
        Level | None, typer.Option(help="What it is to show; default: what its contract needs.", show_default=False)
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Open a certification: a test placement of made-up accounts is on its way. Run again, it goes on."""
    from flows import certify
    from infra import certificates
    from infra.wiring import desk

    with desk().database.read() as connection:
        wanted = level.value if level else certificates.needed_level(connection, code)
    with progress("test placement"):
        number = certify.start(code, wanted)
    emit({"agency": code, "certification": number, "level": wanted}, title="Certification")
    say(f"next: telephone, then `consign agency certify fingerprint {code}`; `consign collect` takes in what it sends")


@app.command()
def fingerprint(
    code: Code,
    sign: Annotated[str, typer.Option(help="The fingerprint of its signing key, as it reads it out.")] = "",
    encrypt: Annotated[
        str, typer.Option(help="The one of its encryption key; OpenPGP: the same one, and can be left out.")
    ] = "",
    ours_confirmed: Annotated[
        bool, typer.Option("--ours-confirmed", help="It has read our fingerprints out to us, and they are ours.")
    ] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Take down what was compared by telephone; a fingerprint that differs stops the certification."""
    from infra import certification
    from infra.wiring import desk

    told = {}
    if sign:
        told["theirs"] = certification.hear(desk(), code, sign, encrypt or sign).state
    if ours_confirmed and "failed" not in told.values():
        told["ours"] = certification.confirm(desk(), code).state
    if not told:
        message = "nothing was compared"
        raise UsageError(message, fix="give --sign (and --encrypt) as the agency reads them out, or --ours-confirmed")
    emit({"agency": code, **told}, title="Fingerprints")
    if "failed" in told.values():
        message = f"what was read out is not the key that we hold of {code}: the certification has stopped"
        raise Findings(
            message, fix="somebody may sit between you: compare again by telephone, at the contract's number"
        )


@app.command()
def status(code: Code, json: Json = False) -> None:  # noqa: ARG001 - read by emit
    """Say what is done, whose turn it is, and why something failed."""
    from infra import certificates, certification
    from infra.wiring import desk

    run, steps = certification.status(desk(), code)
    with desk().database.read() as connection:
        found = certificates.standing(connection, desk(), code)
    columns = ["level", "step", "by", "state", "code", "since", "fix"]
    emit(
        {"agency": code, "certification": run.certification_id, "level": run.level, "state": run.state,
         "needed": found.needed, "certificate": found.certificate_id, "standing": found.state,
         "valid_until": found.valid_until, "steps": steps[columns].astype({"since": "str"}).to_dict("records")},
        title=f"Certification of {code}",
    )  # fmt: skip


@app.command(name="give-up")
def give_up(
    code: Code,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """End the open certification without a certificate."""
    from infra import certification
    from infra.wiring import desk

    if confirmed(f"End the certification of {code}?", yes=yes):
        certification.give_up(desk(), code)
        emit({"agency": code, "state": "given_up"}, title="Certification")


@app.command()
def certificate(
    code: Code,
    out: Annotated[
        Path | None, typer.Option(help="Write certificate.json, its signature and a page into this folder.")
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show the newest certificate, or write it: anybody checks it offline, with `ssh-keygen -Y verify` and our key."""
    import json as reader

    from infra import certificates
    from infra.wiring import desk

    with desk().database.read() as connection:
        run = certificates.certificate(connection, code)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "certificate.json").write_text(run.certificate, encoding="utf-8", newline="")
        (out / "certificate.json.sig").write_text(run.signature, encoding="ascii")
        (out / "certificate.html").write_text(certificates.page(run), encoding="utf-8")
    emit(reader.loads(run.certificate), title="Certificate")


@app.command()
def waive(
    code: Code,
    reason: Annotated[str, typer.Option(help="Why it may work without a certificate for a while: asks.")] = "",
    level: Annotated[Level, typer.Option(help="Which level is waived.")] = Level.money,
    grant: Annotated[bool, typer.Option("--grant", help="Grant what somebody else has asked for.")] = False,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Let an agency work without a certificate for a while: one person asks with a reason, another grants it."""
    from infra import certificates
    from infra.wiring import desk

    if grant:
        emit({"agency": code, "waived_until": certificates.grant_waiver(desk(), code)}, title="Waiver")
        return
    number = certificates.ask_waiver(desk(), code, level.value, reason)
    emit({"agency": code, "waiver": number, "level": level.value, "state": "asked"}, title="Waiver")
    say(f"a second person grants it: `consign agency certify waive {code} --grant`")
