"""`consign disclosures`: who has been told what about a debtor, why, until when; and the proof of it for others."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from console.cli.output import Json, emit, progress, say
from models.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from typer._click.core import Context  # Typer carries its own Click

    from infra.register import Question


class _ShowFirst(TyperGroup):
    """`consign disclosures WHO` is `consign disclosures show WHO`."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """The words of the command line, with `show` in front where no command is named."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(no_args_is_help=True, cls=_ShowFirst)
SHOWN = (
    "agency", "kind", "delivered_at", "field", "treatment", "accounts", "purpose", "policy", "gone_by", "erasure",
    "certificate",
)  # fmt: skip

Who = Annotated[
    str, typer.Argument(help="The lender's account number, an ID number or a telephone number; - reads it from stdin.")
]
Lender = Annotated[str, typer.Option("--lender", help="The lender's code.")]
Why = Annotated[str, typer.Option("--why", help="Why you must know it, in a sentence; it is kept. No debtor's values.")]
Agency = Annotated[str | None, typer.Option("--agency", help="Only what this agency was told.")]
AsOf = Annotated[
    datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="As it stood at the end of that day.")
]


@app.command()
def show(
    who: Who,
    lender: Lender,
    why: Why,
    agency: Agency = None,
    as_of: AsOf = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it there instead: .csv or .html; a new file.")
    ] = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Show every field of every file that spoke of this debtor: to whom, why, and when it will be gone."""
    from infra import register
    from infra.wiring import desk

    if out is not None and out.suffix not in {".csv", ".html"}:
        raise UsageError(f"{out.name} ends in neither .csv nor .html", fix="say by the name which it is to be")
    with progress("reading the register"):
        told = register.disclosures(desk(), _question(lender, who, why, agency, as_of))
    if out is None:
        emit(told.told, title="Disclosed", columns=SHOWN)
    else:
        from infra.evidence import pages

        at = desk()
        about = {
            "lender": lender, "agency": agency, "as_of": as_of.date() if as_of else at.today(),
            "made_at": at.now().isoformat(timespec="seconds"), "made_by": at.actor,
        }  # fmt: skip
        _new(out, pages.csv(told.told) if out.suffix == ".csv" else pages.html(told.told, about))
        emit({"rows": len(told.told), "out": out}, title="Written")
    for line in _summed(told.told):
        say(line)
    say(f"on record: question {told.asked_today} of yours to the register in 24 hours")


@app.command()
def export(
    who: Who,
    lender: Lender,
    why: Why,
    out: Annotated[Path, typer.Option("--out", help="The JSON file to write; it must not be there yet.")],
    agency: Agency = None,
    as_of: AsOf = None,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Write what was disclosed as evidence for a court or the debtor; anybody can check it without the store."""
    from infra.evidence import files
    from infra.wiring import desk

    absent(out)
    with progress("making the evidence"):
        evidence, exported = files.export(desk(), _question(lender, who, why, agency, as_of))
    write_json(out, evidence)
    emit({**vars(exported), "out": out}, title="Exported")
    say("tell whoever gets it the key's fingerprint by another way; `consign disclosures verify` checks the file")


@app.command()
def verify(
    evidence: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What `export` wrote.")],
    key: Annotated[str, typer.Option(help="The signing key's fingerprint, as you know it from elsewhere.")] = "",
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """Check evidence; neither store nor keyring is asked."""
    from infra.evidence import files

    with evidence.open("rb") as file:
        text = file.read(files.LARGEST_BYTES + 1)
    emit(files.check(text, key), title="The evidence holds")


@app.command()
def asked(
    actor: Annotated[str | None, typer.Option(help="Only this person's questions.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 200,
    json: Json = False,  # noqa: ARG001 - read by emit
) -> None:
    """List who looked into the register, when and why; about whom is kept nowhere."""
    from infra.store import register as store
    from infra.wiring import desk

    with desk().database.read() as connection:
        found = store.questions(connection, actor, limit)
    emit(found, title="Questions", columns=["asked_at", "actor", "lender", "agency", "accounts", "why"])


def read_who(who: str) -> str:
    """Who is asked about: as it was given, or for `-` the first line of stdin, so that no shell keeps it."""
    import sys

    return sys.stdin.readline().strip() if who == "-" else who


def absent(out: Path) -> None:
    """Raises UsageError where the file is there already."""
    if out.exists():
        raise UsageError(f"{out} is there already", fix="name another file")


def write_json(out: Path, thing: object) -> None:
    """The thing stands in a new file that only its owner can read. Raises UsageError where there is one."""
    import json as jsonlib

    _new(out, jsonlib.dumps(thing, ensure_ascii=False, indent=1) + "\n")


def _new(out: Path, text: str) -> None:
    import os

    try:
        descriptor = os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        raise UsageError(f"{out} is there already", fix="name another file") from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def _summed(rows: pd.DataFrame) -> list[str]:
    """Agency by agency in a sentence: how much, what for, on which basis, and when it will be gone."""
    return [
        f"{agency}: {part['field'].nunique()} fields in {part['file'].nunique()} files, for "
        f"{', '.join(sorted(set(part['purpose'])))} ({'; '.join(part['basis'].drop_duplicates())}); "
        f"{'gone since' if set(part['erasure']) == {'erased'} else 'to be gone by'} {part['gone_by'].max():%Y-%m-%d}"
        for agency, part in rows.groupby("agency", sort=True)
    ]


def _question(lender: str, who: str, why: str, agency: str | None, as_of: datetime | None) -> Question:
    from infra.register import Question

    return Question(lender, read_who(who), why, agency, as_of.date() if as_of else None)
