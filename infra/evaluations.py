"""The end of a cycle: what the scores propose is kept, looked at by a second person, and approved or rejected.

Shares, changes of strategy and agencies to look at are proposed from one score run by rules with a version
(models/scoring/evaluation.py). An approval is of exactly the content that was shown, by its hash. The yearly one,
which regulation asks for, is compliance's to approve, and becomes evidence about each agency then.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from infra import audit, diligence, roles, rulepacks
from infra.scorecards import evaluated
from infra.store import conduct, scores, trail
from infra.store import evaluations as store
from infra.store import gates as gate_store
from models.errors import RefusedByPolicy, UsageError
from models.lives import EVALUATION, moved
from models.scoring.evaluation import Case, evaluate, standard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    import pandas as pd
    from sqlalchemy import Connection, Row

    from infra.store.scores import Run
    from infra.wiring import Desk
    from models.scoring.evaluation import Proposal

Kind = Literal["periodic", "yearly"]
PERIODIC: Final[Kind] = "periodic"
YEARLY: Final[Kind] = "yearly"
EVIDENCE: Final = "evaluation"
"""The kind of due diligence that a yearly evaluation is."""
KINDS: Final = (PERIODIC, YEARLY)
OPEN: Final = ("live", "certified")
"""States of an agency in which it may be given accounts."""
SHOWN: Final = (
    "recovery", "net_back", "ultimate", "paid_within", "p_best", "p_worst", "expected_rank", "complaints", "breaches",
    "data_quality", "service", "invoice_accuracy", "overall",
)  # fmt: skip
"""Figures that stand as evidence beside a proposal."""


@dataclass(frozen=True)
class Told:
    """An evaluation as it is kept: its row without the content, and the content itself."""

    evaluation_id: int
    kind: str
    lender: str | None
    run_id: int
    as_of: str
    state: str
    rules_version: str
    content_sha256: str
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    content: dict[str, Any]


def preview(connection: Connection, desk: Desk, run: Run, kind: Kind) -> dict[str, Any]:
    """What the evaluation of that run would say; nothing is kept."""
    cases = list(_cases(connection, desk, run))
    return _content(evaluate(cases), cases, run, kind)


def propose(desk: Desk, run: Run, kind: Kind = PERIODIC) -> tuple[int, bool]:
    """The evaluation of that run waits for a second person; its number, and whether it is new.

    One that says the same and waits, or was approved, is the one that is there. Another one that waits is superseded.
    """
    with desk.database.write() as connection:
        trail.hold(connection)
        text, digest = _text(preview(connection, desk, run, kind))
        for state in ("proposed", "approved"):
            if same := store.of_scope(connection, kind, run.lender, state, digest):
                return int(same[0].evaluation_id), False
        for old in store.of_scope(connection, kind, run.lender, "proposed"):
            state = moved(f"evaluation {old.evaluation_id}", old.state, "superseded", EVALUATION)
            store.note(connection, old.evaluation_id, state=state, decided_at=desk.now())
        number = store.add(
            connection, kind=kind, lender=run.lender, run_id=run.run_id, as_of=run.as_of,
            rules_version=standard().version, content=text, content_sha256=digest, state="proposed",
            proposed_by=desk.actor, proposed_at=desk.now(),
        )  # fmt: skip
        _record(connection, desk, "proposed", number, digest, kind)
    return number, True


def approve(desk: Desk, evaluation_id: int, content: str = "") -> Told:
    """The evaluation is approved; of a yearly one each agency's page is evidence from its day on.

    content: the beginning of the hash that the approver looked at, checked where given. Raises RoleMissing,
    RefusedByPolicy for whoever proposed it and for another content, IllegalMove, UsageError.
    """
    with desk.database.write() as connection:
        trail.hold(connection)
        row = store.evaluation(connection, evaluation_id)
        _may_decide(connection, desk, row.kind)
        if row.proposed_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} proposed evaluation {evaluation_id}, and cannot approve it",
                fix="let a second person look at it",
            )
        if not row.content_sha256.startswith(content):
            raise RefusedByPolicy(
                f"evaluation {evaluation_id} is not the one that was looked at",
                fix=f"look at it again: `consign evaluate show {evaluation_id}`",
            )
        state = moved(f"evaluation {evaluation_id}", row.state, "approved", EVALUATION)
        _unaltered(row)
        if row.kind == YEARLY:
            _put_on_record(connection, desk, row)
        store.note(connection, evaluation_id, state=state, decided_by=desk.actor, decided_at=desk.now())
        _record(connection, desk, "approved", evaluation_id, row.content_sha256, row.kind)
        return _told(store.evaluation(connection, evaluation_id))


def reject(desk: Desk, evaluation_id: int, because: str) -> Told:
    """The evaluation has ended: somebody said no, and why. Raises RoleMissing, UsageError, IllegalMove."""
    if not because.strip() or not audit.TEXT.fullmatch(because):
        raise UsageError("rejecting needs a reason, in up to 200 ASCII characters", fix='--because "why"')
    with desk.database.write() as connection:
        trail.hold(connection)
        row = store.evaluation(connection, evaluation_id)
        if row.proposed_by != desk.actor:
            _may_decide(connection, desk, row.kind)
        state = moved(f"evaluation {evaluation_id}", row.state, "rejected", EVALUATION)
        store.note(connection, evaluation_id, state=state, decided_by=desk.actor, decided_at=desk.now(), reason=because)
        _record(connection, desk, "rejected", evaluation_id, row.content_sha256, row.kind)
        return _told(store.evaluation(connection, evaluation_id))


def find(connection: Connection, evaluation_id: int) -> Told:
    """The evaluation. Raises UsageError where there is none."""
    return _told(store.evaluation(connection, evaluation_id))


def shares(connection: Connection, lender: str | None) -> dict[str, float]:
    """The shares that were approved last, of the lender's own evaluations or else of all lenders'; none before."""
    for scope in dict.fromkeys((lender, None)):
        if approved := store.of_scope(connection, PERIODIC, scope, "approved"):
            told = _unaltered(approved[0])["shares"]
            return {str(one["agency"]): float(one["proposed"]) for one in told}
    return {}


def folder_of(desk: Desk, evaluation_id: int) -> Path:
    """Where an evaluation's pages are, once they were written."""
    return desk.folder("evaluations") / f"evaluation-{evaluation_id:06d}"


def write(desk: Desk, told: Told) -> Path:
    """The pages of an evaluation, in both languages, and its shares for a plan's spec; their folder."""
    with desk.database.read() as connection:
        run = scores.load(connection, told.run_id)
    assert run is not None  # noqa: S101 - a run is never deleted
    folder = folder_of(desk, told.evaluation_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = evaluated.Said(told.evaluation_id, told.content, told.content_sha256)
    evaluated.write(folder, said, run, desk.settings.statement_font)
    return folder


# --- what it is drawn from --------------------------------------------------------------------------------------------


def _cases(connection: Connection, desk: Desk, run: Run) -> list[Case]:
    rules = standard()
    placed = store.placed(connection, run.lender, run.as_of, int(rules.shares["placed_days"]))
    everybody = sum(placed.values()) or 1
    states, missing = store.agency_states(connection), _missing(connection, desk, run.lender)
    gates = {} if run.lender is None else gate_store.stopped(connection, run.lender, desk.today())
    whole = run.components["segment"] == "all"
    figures, cells = run.components[whole], run.components[~whole & (run.components["component"] == "recovery")]
    flagged = [one for one in run.summary["flags"] if one["flagged"]]
    cases = []
    for agency in run.names:
        told = run.summary["agencies"].get(agency, {})
        state = states.get(agency, "live")
        cases.append(
            Case(
                agency,
                _figures(figures[figures["agency"] == agency]),
                _cells(cells[cells["agency"] == agency]),
                float(told.get("evidence", 0.0)),
                run.summary["curves"].get(agency, {}).get("rate", ()),
                tuple(one["pattern"] for one in flagged if one["agency"] == agency),
                placed.get(agency, 0) / everybody,
                stopped=state if state not in OPEN else "gate_closed" if agency in gates else "",
                missing=tuple(missing.get(agency, ())),
            )
        )
    return cases


def _missing(connection: Connection, desk: Desk, lender: str | None) -> dict[str, list[str]]:
    """Per agency the evidence that it lacks, by the packs of the lender, or of all."""
    found: dict[str, list[str]] = {}
    for one in conduct.lenders(connection):
        if lender in (None, one.lender):
            for pack in rulepacks.of(one):
                for agency, kinds in diligence.missing(connection, desk, pack, desk.today(one.timezone)).items():
                    found[agency] = sorted({*found.get(agency, []), *kinds})
    return found


def _figures(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    plain = frame.drop(columns=["agency", "segment"]).astype("object")
    rows = plain.where(plain.notna(), None).to_dict("records")
    return {str(row.pop("component")): {str(name): value for name, value in row.items()} for row in rows}


def _cells(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    known = frame[frame["value"].notna() & frame["weight"].notna()]
    return {
        str(segment): {"value": float(value), "weight": float(weight)}
        for segment, value, weight in zip(known["segment"], known["value"], known["weight"], strict=True)
    }


def _content(proposal: Proposal, cases: Sequence[Case], run: Run, kind: Kind) -> dict[str, Any]:
    """What is kept: plain numbers and text, in a fixed order."""
    return {
        "kind": kind,
        "lender": run.lender,
        "run": run.run_id,
        "as_of": run.as_of.isoformat(),
        "model": run.model_version,
        "inputs_sha256": run.inputs_sha256,
        "rules": standard().version,
        "agencies": {
            case.agency: {name: case.figures[name] for name in SHOWN if name in case.figures}
            | {"flags": list(case.flags), "missing": list(case.missing), "closed": case.closed}
            for case in sorted(cases, key=lambda case: case.agency)
        },
        **asdict(proposal),
    }


def _text(content: dict[str, Any]) -> tuple[str, str]:
    """The content as canonical JSON, and its SHA-256."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return text, hashlib.sha256(text.encode()).hexdigest()


# --- what becomes of it -----------------------------------------------------------------------------------------------


def _may_decide(connection: Connection, desk: Desk, kind: str) -> None:
    """The yearly one is compliance's to decide. Raises RoleMissing."""
    if kind == YEARLY:
        roles.require(connection, desk, "compliance")
    else:
        roles.require(connection, desk, "portfolio_manager")


def _put_on_record(connection: Connection, desk: Desk, row: Row[Any]) -> None:
    """Each agency's page of a yearly evaluation is evidence about it."""
    run = scores.load(connection, row.run_id)
    assert run is not None  # noqa: S101 - a run is never deleted
    said = evaluated.Said(row.evaluation_id, json.loads(row.content), row.content_sha256)
    folder, font = desk.folder("scratch"), desk.settings.statement_font
    for agency in said.content["agencies"]:
        page = evaluated.write_evidence(folder, said, run, agency, font, desk.actor)
        try:
            diligence.put(
                connection, desk, agency, EVIDENCE, valid_from=row.as_of, document=page,
                reference=f"evaluation {row.evaluation_id}, score run {row.run_id}",
            )  # fmt: skip
        finally:
            page.unlink(missing_ok=True)


def _unaltered(row: Row[Any]) -> dict[str, Any]:
    """The content, once it is what its hash says. Raises RefusedByPolicy."""
    if hashlib.sha256(row.content.encode()).hexdigest() != row.content_sha256:
        raise RefusedByPolicy(
            f"evaluation {row.evaluation_id} is not what was proposed",
            fix="somebody changed the store: `consign audit verify`; then evaluate again",
        )
    content: dict[str, Any] = json.loads(row.content)
    return content


def _told(row: Row[Any]) -> Told:
    plain = {name: value for name, value in row._mapping.items() if name in Told.__dataclass_fields__}  # noqa: SLF001 - SQLAlchemy's public name for it
    return Told(**{**plain, "as_of": row.as_of.isoformat(), "content": _unaltered(row)})


def _record(connection: Connection, desk: Desk, what: str, number: int, digest: str, kind: str) -> None:
    details = {"sha256": digest, "kind": kind}
    audit.record(connection, desk.actor, f"evaluation.{what}", f"evaluation:{number}", details, desk.now())
