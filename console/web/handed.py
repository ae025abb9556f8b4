"""What people hand in, whether on a page or through the API: portfolios, documents, the name of a folder.

A portfolio is checked by a job, found again by whoever handed it in, and taken in by another job.
"""

from __future__ import annotations

import csv
import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException

from console.web.pages import asked
from flows.intake import share
from infra import certification, diligence, jobs, layouts, profiles, uploads
from infra.outbox import scratch
from infra.store import browsing
from infra.wiring import seated_here
from models.errors import Findings, UsageError
from models.intake.fields import ACCOUNT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import UploadFile
    from sqlalchemy import Row

    from infra.uploads import Upload
    from infra.wiring import Desk

KINDS: Final = (".csv", ".txt", ".tsv", ".xlsx", ".parquet")
"""What the console takes; packed text is unpacked by whoever hands it in."""
SHOWN: Final = 200
"""Findings that are shown at a time; the file to take away has all."""
NOT_THERE: Final = 404


def handed_in(desk: Desk, file: UploadFile, given: Mapping[str, str]) -> str:
    """The upload's name; the job that checks it is asked for. Raises UsageError for what cannot be right."""
    name = uploads.plain_name(file.filename or "")
    if not name.lower().endswith(KINDS):
        raise UsageError(f"a portfolio comes as {', '.join(KINDS)}", fix="save it as one of these")
    if asked.day(given["as_of"]) is None:
        raise UsageError("of which day is the file?", fix="give the day of the snapshot")
    lender_of(desk, given["lender"])
    with seated_here(desk):
        asked.one_of(given["profile"], profiles.SHELF.names())
    share(given["threshold"])
    upload = uploads.keep(desk, file.file, name, given)
    jobs.ask(desk, "check_portfolio", {"upload": upload})
    return upload


def told(job: Row[Any]) -> dict[str, Any]:
    """What came of a job; nothing before its end."""
    told: dict[str, Any] = json.loads(job.result or "{}") if job.state == "done" else {}
    return told


def lender_of(desk: Desk, code: str) -> None:
    """There is such a lender. Raises UsageError."""
    with desk.database.read() as connection:
        known = browsing.lenders(connection)
    if code not in known:
        raise UsageError("there is no such lender", fix="add it among the lenders first")


def jobs_of(desk: Desk, upload: str) -> tuple[Row[Any], Row[Any] | None]:
    """The newest job that checks the upload, and the newest that takes it in. 404 where it is not of who asks."""
    checked = jobs.newest(desk, "check_portfolio", {"upload": upload})
    if checked is None or checked.actor != desk.actor:
        raise HTTPException(NOT_THERE)
    return checked, jobs.newest(desk, "import_portfolio", {"upload": upload})


def mine(desk: Desk, upload: str) -> Upload:
    """The upload, where it is of who asks. Raises UploadGone."""
    held = uploads.found(desk, upload)
    if held.by != desk.actor:
        raise HTTPException(NOT_THERE)
    return held


def found_in(desk: Desk, upload: str, code: str = "", after: int = 0) -> list[dict[str, str]]:
    """What the check found, in the order of the lines: line, field, code, fix, outcome; never a value."""
    path = uploads.findings_path(desk, upload)
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = (row for row in csv.DictReader(file) if code in {"", row["code"]})
        return list(islice(rows, after, after + SHOWN))


def columns_of(desk: Desk, profile: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """How the profile reads the file: our fields with the columns they come from, and the columns nobody reads."""
    with seated_here(desk):
        chosen = profiles.find(asked.one_of(profile, profiles.SHELF.names()))
    header = result.get("header", {}).get("columns", [])
    mapped = [
        (name, ", ".join(chosen.columns[name].columns) if name in chosen.columns else "") for name in chosen.fields
    ]
    return {
        "mapped": mapped,
        "unread": [name for name in header if name and name not in chosen.needed],
        "missing": [name for name in ACCOUNT_FIELDS if name not in chosen.fields],
    }


def asked_for(desk: Desk, upload: str) -> int:
    """The job that takes the upload in. Raises UsageError where it was not checked, or too much of it is refused."""
    checked, _ = jobs_of(desk, upload)
    mine(desk, upload)
    state = told(checked).get("state")
    if state is None:
        raise UsageError("the file has not been checked", fix="wait for its check, or hand it in again")
    if state == "refused":
        raise UsageError("more lines are refused than are let pass", fix="mend the file, or let more lines be refused")
    return jobs.ask(desk, "import_portfolio", {"upload": upload})


def folder_of(desk: Desk, root: str) -> Path | None:
    """The folder that a form names: whole, and not where our own files are. Raises UsageError."""
    if not root:
        return None
    path, home = Path(root).resolve(), desk.settings.home.resolve()
    if not Path(root).is_absolute() or not path.is_dir():
        raise UsageError("that folder is not there", fix="make it on the server first, and give its whole path")
    private = [desk.settings.keyring_path.resolve().parent, desk.settings.backups_path.resolve()]
    if path == home or path in home.parents or any(path == one or one in path.parents for one in private):
        raise UsageError("our own files lie in that folder", fix="give the agency a folder of its own")
    return path


def evidence(
    desk: Desk, code: str, kind: str, since: str, until: str, reference: str, document: UploadFile | None
) -> diligence.Added:
    """The evidence is on record. Raises what infra.diligence.add raises."""
    with scratch(desk) as folder:
        path = None
        if document is not None and document.filename:
            path = folder / uploads.plain_name(document.filename)
            with path.open("wb") as into:
                while block := document.file.read(1 << 20):
                    into.write(block)
        return diligence.add(
            desk, code, kind, kinds=diligence.kinds(), valid_from=asked.day(since) or desk.today(),
            valid_until=asked.day(until), document=path, reference=reference.strip(),
        )  # fmt: skip


def compared(desk: Desk, code: str, sign: str, encrypt: str, *, ours: bool) -> None:
    """What was compared by telephone is on record. Raises Findings where the agency read out another key: it is over.

    ours: the agency has read our fingerprints out, and they are ours.
    """
    sign = sign.strip()
    if not sign and not ours:
        raise UsageError("nothing was compared", fix="type what the agency reads out, or say that it has read ours")
    if sign and certification.hear(desk, code, sign, encrypt.strip() or sign).state == "failed":
        message = f"what was read out is not the key that we hold of {code}: the certification has stopped"
        raise Findings(message, fix="somebody may sit between you: compare again, at the contract's number")
    if ours:
        certification.confirm(desk, code)


def agree(desk: Desk, code: str, layout: str) -> None:
    """The agency's files are in that layout: a known one, for a name in `.toml` would be a file of this machine."""
    known = {str(one["layout"]) for one in layouts.known(desk)}
    layouts.agree(desk, code, asked.one_of(layout, known | {"package"}))
