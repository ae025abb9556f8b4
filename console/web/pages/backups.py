"""Backups of the store, and requests about the whole keyring: when made, how large, checked; who agreed to what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web.language import later
from console.web.pages import asked
from console.web.problems import status_of
from console.web.visits import Visiting, needs
from infra import backups, escrow, jobs, keycopies
from models.errors import ConsignError

if TYPE_CHECKING:
    from console.web.visits import Visit

router = APIRouter()

ESCROWS: Final = {
    "waiting": (later("Waits for a second person"), "warn"), "approved": (later("Approved"), "info"),
    "done": (later("Done"), "good"), "withdrawn": (later("Withdrawn"), "plain"),
}  # fmt: skip
KINDS: Final = {"export": later("Let the keyring out"), "import": later("Take an escrow in")}


@router.get("/backups", dependencies=[needs("operations.see")])
def every(visit: Visiting) -> Response:
    """The backups, the newest first, with what came of looking into each; and requests about the keyring."""
    return _shown(visit)


def _shown(visit: Visit, problem: ConsignError | None = None) -> Response:
    found: list[backups.Backup] = []
    try:
        found = backups.listed(visit.desk)
    except ConsignError as broken:  # a manifest that is not ours is told, and the page is there all the same
        problem = problem or broken
    settings = visit.desk.settings
    return visit.page(
        "house/backups.html", backups=found, checked={one.name: _checked(visit, one.name) for one in found},
        folder=settings.backups_path, is_nightly=settings.backups is not None,
        copy=keycopies.copy_path(visit.desk), is_copied=keycopies.copy_path(visit.desk).exists(),
        escrows=escrow.listed(visit.desk), states=ESCROWS, kinds=KINDS, problem=problem,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def _checked(visit: Visit, name: str) -> dict[str, Any] | None:
    """What came of the last look into the backup; None where nobody looked."""
    job = jobs.newest(visit.desk, "check_backup", {"name": name})
    if job is None:
        return None
    return {"job_id": job.job_id, "state": job.state, "at": job.ended_at, "error": job.error,
            "result": json.loads(job.result or "{}")}  # fmt: skip


@router.post("/backups", dependencies=[needs("backups.make")])
def make(visit: Visiting) -> Response:
    """A job backs the store up, sealed, and copies the keyring."""
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'back_up', {})}")


@router.post("/backups/check", dependencies=[needs("backups.make")])
def check(visit: Visiting, name: Annotated[str, Form()] = "") -> Response:
    """A job opens the backup, compares it with its manifest, and looks through its pages and its trail."""
    try:
        backups.found(visit.desk, name)
    except ConsignError as problem:
        return _shown(visit, problem)
    return visit.go(f"/jobs/{jobs.ask(visit.desk, 'check_backup', {'name': name})}")


@router.post("/backups/remove", dependencies=[needs("backups.remove")])
def remove(visit: Visiting, name: Annotated[str, Form()] = "", why: Annotated[str, Form()] = "") -> Response:
    """The backup is gone, and its key: no copy of it opens any more."""
    try:
        backups.remove_by_hand(visit.desk, name, why.strip())
    except ConsignError as problem:
        return _shown(visit, problem)
    return visit.go("/backups", visit.say("Removed: no copy of it opens any more."))


# -- the whole keyring -------------------------------------------------------------------------------------------------


@router.post("/backups/keyring", dependencies=[needs("escrows.ask")])
def ask(
    visit: Visiting, holder: Annotated[str, Form()] = "", recipient: Annotated[str, Form()] = "",
    why: Annotated[str, Form()] = "",
) -> Response:  # fmt: skip
    """The keyring is to be let out to a holder, once a second person agrees; a shell lets it out, never a browser."""
    try:
        escrow.ask_export(visit.desk, asked.plain(holder, "the holder's name"), recipient.strip(), why)
    except ConsignError as problem:
        return _shown(visit, problem)
    return visit.go("/backups", visit.say("Asked: a second person must approve it."))


@router.post("/backups/keyring/{escrow_id}/approve", dependencies=[needs("escrows.approve")])
def approve(visit: Visiting, escrow_id: int, said: Annotated[str, Form()] = "") -> Response:
    """A second person agrees: the recipient as the holder read it out, or the file's SHA-256, typed."""
    try:
        escrow.approve(visit.desk, escrow_id, said)
    except ConsignError as problem:
        return _shown(visit, problem)
    return visit.go("/backups", visit.say("Approved: it counts for some hours, and once."))


@router.post("/backups/keyring/{escrow_id}/withdraw", dependencies=[needs("escrows.withdraw")])
def withdraw(visit: Visiting, escrow_id: int) -> Response:
    """Nothing comes of the request."""
    try:
        escrow.withdraw(visit.desk, escrow_id)
    except ConsignError as problem:
        return _shown(visit, problem)
    return visit.go("/backups", visit.say("Withdrawn."))
