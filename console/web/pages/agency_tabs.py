"""What the tabs of an agency's page tell: what was agreed, how it is reached, whose keys count, what it has shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from console.web.frames import records
from infra import certificates, certification, credentials, diligence, hostkeys, jobs, layouts, probes, rotation
from infra.store import contracts as agreed
from infra.store import exchange, traffic
from models.certification import FAULTS, LEVELS, LEVELS_ABOUT, steps_of
from models.errors import ConsignError, UsageError
from models.kinds import INBOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from console.web.visits import Visit

TOLD_OF_A_DROP: Final = ("kind", "host", "port", "username", "root", "to_agency", "from_agency")
NO_LIMITS: Final = (*TOLD_OF_A_DROP, "host_keys", "renames", "client_key")
DUE_DAYS: Final = 60
"""What ends within so many days is said to end soon."""


def contracts(visit: Visit, code: str) -> dict[str, Any]:
    """What was agreed, the newest first, and what is put up."""
    with visit.desk.database.read() as connection:
        rows = agreed.listed(connection, None, code)
        waiting = agreed.proposals(connection, code)
    today = visit.desk.today()
    for row in rows:
        row["from"] = row["effective_from"]
        row["now"] = row["from"] <= today and (row["until"] is None or today <= row["until"])
    for row in waiting:
        row["from"] = row["effective_from"]
    return {"contracts": rows[::-1], "proposals": waiting}


def reach(visit: Visit, code: str) -> dict[str, Any]:
    """The drop, what its server can do, the host keys, our client keys there; and what the server showed last."""
    with visit.desk.database.read() as connection:
        row = exchange.agency(connection, code)
    drop, can = json.loads(row.drop), json.loads(row.probe or "{}")
    return {
        "drop": {name: drop[name] for name in TOLD_OF_A_DROP if name in drop},
        "renames": drop.get("renames", True),
        "limits": "\n".join(f"{name}={value}" for name, value in drop.items() if name not in NO_LIMITS),
        "host_keys": hostkeys.listed(visit.desk, code),
        "credentials": [vars(one) for one in credentials.listed(visit.desk, code)],
        "probe": can,
        "notes": probes.notes(can) if can else (),
        "probed_at": row.probed_at,
        "probing": jobs.newest(visit.desk, "probe", {"agency": code}),
        "scan": _scanned(visit, code),
    }


def _scanned(visit: Visit, code: str) -> dict[str, Any] | None:
    """The newest look at what the server shows; None where nobody looked."""
    job = jobs.newest(visit.desk, "scan_host", {"agency": code})
    if job is None:
        return None
    return {"job": job, "keys": json.loads(job.result or "{}").get("keys", {}).get("found", [])}


def keys(visit: Visit, code: str) -> dict[str, Any]:
    """The agency's sealing keys, pinned and asked for; and ours, as it is to have them."""
    with visit.desk.database.read() as connection:
        suite = exchange.agency(connection, code).suite
    try:
        ours = visit.desk.keyring.public_keys(suite, visit.desk.now())
    except ConsignError:  # no pair of ours is in force: /keys says so
        ours = None
    return {"keys": rotation.listed(visit.desk, code), "ours": ours, "suite": suite}


def certified(visit: Visit, code: str) -> dict[str, Any]:
    """The newest run with its steps, the certificate there is, a waiver that is asked for; the levels there are."""
    levels = {level: LEVELS_ABOUT[level] for level in LEVELS}
    with visit.desk.database.read() as connection:
        waiver = certificates.waiver_asked(connection, code)
        has_one = certificates.has_certificate(connection, code)
    told: dict[str, Any] = {"levels": levels, "waiver": waiver, "has_certificate": has_one, "steps": [], "run": None}
    try:
        run, steps = certification.status(visit.desk, code)
    except UsageError:
        return told
    said = {one.code: one for one in steps_of(run.level)}
    rows = records(steps)
    for row in rows:
        step = said[row["step"]]
        row["about"] = step.about, step.about_zh
        fix = FAULTS.get(row["code"] or "", (step.fix, step.fix_zh))
        row["fix"] = fix if row["fix"] else ("", "")
    return told | {"run": run, "steps": rows}


def evidence(visit: Visit, code: str) -> dict[str, Any]:
    """The evidence on record, what each rule pack asks for, and the kinds there are."""
    with visit.desk.database.read() as connection:
        rows = records(diligence.listed(connection, code))
    due = diligence.wanted(visit.desk, DUE_DAYS, code)
    for one in due:
        one["words"] = one["text"], one["text_zh"]
    return {"evidence": rows, "due": due, "kinds": sorted(diligence.kinds()), "today": visit.desk.today()}


def layout(visit: Visit, code: str) -> dict[str, Any]:
    """The layout of the agency's files, and every other there is."""
    found = layouts.of_agency(visit.desk, code)
    return {
        "layout": None if found is None else layouts.told(found), "known": layouts.known(visit.desk),
        "inbound": sorted(INBOUND),
    }  # fmt: skip


def files(visit: Visit, code: str) -> dict[str, Any]:
    """The newest files to it and from it."""
    with visit.desk.database.read() as connection:
        return {"sent": traffic.sent(connection, code).rows[:20], "came": traffic.came(connection, code).rows[:20]}


READERS: Final[Mapping[str, Callable[[Visit, str], dict[str, Any]]]] = {
    "contracts": contracts, "reach": reach, "keys": keys, "certification": certified, "evidence": evidence,
    "layout": layout, "files": files,
}  # fmt: skip
"""By tab."""
