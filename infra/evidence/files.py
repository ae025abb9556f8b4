"""Evidence of what agencies were told about one debtor: a JSON file that anybody can check without the store.

Its hash stands in an event of the audit trail, and beside it lies the proof that this event is in the trail of a signed
head (infra/proving.py). So it cannot have been written later than the head, or otherwise.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pandas as pd

from infra import audit, proving, register
from infra.packages import account_pseudonyms, debtor_pseudonyms
from infra.proving import ProofRefused
from infra.store import exchange
from infra.store import register as store
from infra.store import subjects as requests_store
from models.release import VALUE_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from infra.register import Question
    from infra.wiring import Desk

FORMAT: Final = "consign.disclosures.v1"
ACTION: Final = "disclosures.exported"
LARGEST_BYTES: Final = 256 << 20
PLACED: Final = (
    "placement_id", "account_id", "agency", "stage", "placed_on", "due_back_on", "state", "ended_on", "end_reason",
    "erase_by", "recalled_on", "recall_reason", "recall_due_on", "recall_confirmed_on", "erasure",
    "erasure_requested_on", "erasure_due_on", "gone_by", "erased_at", "certified_by", "verified_at", "finding",
    "certificate", "certificate_sha256", "certificate_signer",
)  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """What was made."""

    accounts: int
    agencies: int
    files: int
    fields: int
    sha256: str
    """of the evidence in canonical JSON: it stands in the audit event"""
    event: int
    head: int
    key: str
    """the fingerprint of the key that signed the head: tell it by another way"""


@dataclass(frozen=True)
class Checked:
    """What evidence that holds has shown."""

    ok: bool
    lender: str
    as_of: str
    made_at: str
    accounts: int
    files: int
    sha256: str
    event: int
    signed_at: str
    key: str
    key_expected: bool | None
    """whether it is the one that the reader expects; None where none was named: compare it with one had otherwise"""


def export(
    desk: Desk, question: Question, held: Mapping[str, Any] | None = None, request_id: int | None = None
) -> tuple[dict[str, Any], Exported]:
    """The evidence as a JSON object, and what it is; asking is on record as in `register.disclosures`.

    Raises what that raises, and RefusedByPolicy where the number leads to several debtors.
    held: what the lender itself holds about the debtor, for the answer to an access request.
    """
    accounts, _ = register.admitted(desk, question)
    with desk.database.read() as connection:
        requests_store.debtor_of(connection, accounts)  # a number that two persons share proves nothing of either
    return of_accounts(desk, question, accounts, held, request_id)


def of_accounts(
    desk: Desk,
    question: Question,
    accounts: Sequence[int],
    held: Mapping[str, Any] | None = None,
    request_id: int | None = None,
) -> tuple[dict[str, Any], Exported]:
    """As `export`, of accounts that are known already."""
    with desk.database.write() as connection:
        body = _body(connection, desk, question, accounts) | ({"held": dict(held)} if held is not None else {})
        digest = hashlib.sha256(canonical(body)).hexdigest()
        said: dict[str, audit.Value] = {
            "sha256": digest, "accounts": len(accounts), "agency": question.agency, "rows": len(body["disclosures"]),
        }  # fmt: skip
        subject = f"lender:{question.lender}" if request_id is None else f"subject_request:{request_id}"
        event = audit.record(connection, desk.actor, ACTION, subject, said, desk.now())
        audit.sign_head(connection, desk.keyring, desk.now())
        seq = int(event.seq)
    with desk.database.read() as connection:
        proof = proving.prove(connection, desk.keyring.audit_publics().values(), seq, seq)
    rows = body["disclosures"]
    exported = Exported(
        accounts=len(accounts), agencies=len({row["agency"] for row in rows}),
        files=len({row["file"] for row in rows}), fields=len({(row["agency"], row["field"]) for row in rows}),
        sha256=digest, event=seq, head=proof["head"]["seq"], key=proof["head"]["key"],
    )  # fmt: skip
    return {"format": FORMAT, "evidence": body, "sha256": digest, "proof": proof}, exported


def check(text: bytes, expected: str = "") -> Checked:
    """What the evidence shows; it needs neither store nor keys. expected: the signing key's fingerprint, had otherwise.

    Raises ProofRefused for what is no evidence, for one that was changed, and for one whose proof does not hold.
    """
    told = _read(text)
    body = told["evidence"]
    digest = hashlib.sha256(canonical(body)).hexdigest()
    if digest != told.get("sha256"):
        _refused("the evidence is not what its hash was made of")
    proved = proving.check(json.dumps(told["proof"]).encode(), expected)
    event = proved.event or {}
    if event.get("action") != ACTION or event.get("details", {}).get("sha256") != digest:
        _refused("the event that is proved speaks of other evidence")
    rows = body["disclosures"]
    return Checked(
        ok=True, lender=str(body["lender"]["lender"]), as_of=str(body["as_of"]), made_at=str(event["at"]),
        accounts=len(body["accounts"]), files=len({row["file"] for row in rows}), sha256=digest,
        event=int(event["seq"]), signed_at=proved.signed_at, key=proved.key, key_expected=proved.key_expected,
    )  # fmt: skip


def canonical(body: Mapping[str, Any]) -> bytes:
    """The evidence as it is hashed: keys sorted, no spaces, UTF-8."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows in JSON's own types: days and instants in ISO 8601, nothing as null."""
    written = {str(name): _written(frame[name]) for name in frame.columns}
    return [dict(zip(written, row, strict=True)) for row in zip(*written.values(), strict=True)] if written else []


def _written(column: pd.Series) -> list[Any]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return [None if pd.isna(at) else audit.instant(at) for at in column]
    if pd.api.types.is_datetime64_dtype(column.dtype):
        return [None if pd.isna(day) else day.date().isoformat() for day in column]
    values: list[Any] = column.astype("object").where(column.notna(), None).tolist()
    return values


def _body(connection: Connection, desk: Desk, question: Question, accounts: Sequence[int]) -> dict[str, Any]:
    """What is told: about whom, by which agency under which name, every field, every placement and its end."""
    told = register.told(connection, desk, accounts, question)
    placed = register.placed(connection, desk, accounts, question)
    codes = sorted({*told["agency"], *placed["agency"]})
    zone = exchange.lender_timezone(connection, question.lender)
    heard = store.heard(connection, accounts)
    names = {code: str(exchange.agency(connection, code).name) for code in codes}
    asked = requests_store.of_accounts(connection, accounts)
    return {
        "lender": {"lender": question.lender, "name": exchange.lender_name(connection, question.lender)},
        "as_of": (question.as_of or desk.today(zone)).isoformat(),
        "agency": question.agency,
        "agencies": names,
        "accounts": list(accounts),
        "known_as": _known_as(desk, placed),
        "disclosures": rows_of(told),
        "placements": rows_of(placed[list(PLACED)]),
        "heard": rows_of(heard[heard["agency"].isin(codes)]),
        "requests": rows_of(asked),
        "value_classes": dict(sorted(VALUE_CLASSES.items())),
    }


def _known_as(desk: Desk, placed: pd.DataFrame) -> list[dict[str, Any]]:
    """Under which names agencies know the accounts and the debtor: what ties their files to this evidence.

    No name where the key that made it was revoked: nobody can tell it any more.
    """
    rows = []
    once = placed.drop_duplicates(["agency", "key_generation", "account_id"])
    for (agency, generation), part in once.groupby(["agency", "key_generation"], sort=True):
        key = desk.keyring.pseudonym_keys(str(agency)).get(str(generation))
        named = part[["account_id"]].assign(agency=str(agency), account=None, debtor=None)
        if key is not None:
            named["account"] = account_pseudonyms(key, part["account_id"]).to_numpy()
            named["debtor"] = debtor_pseudonyms(key, part["debtor_id"]).to_numpy()
        rows += rows_of(named)
    return rows


def _read(text: bytes) -> dict[str, Any]:
    if len(text) > LARGEST_BYTES:
        _refused("the file is too large for evidence")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        _refused(f"the file is no {FORMAT}")
    body = told.get("evidence")
    if not isinstance(body, dict) or not isinstance(told.get("proof"), dict):
        _refused("a part of the evidence is missing")
    shapes = {"disclosures": list, "accounts": list, "lender": dict, "as_of": str}
    if any(not isinstance(body.get(name), kind) for name, kind in shapes.items()):
        _refused("a part of the evidence is missing")
    return told


def _refused(why: str) -> NoReturn:
    raise ProofRefused(f"this proves nothing: {why}", fix="ask for it anew, and compare the key's fingerprint")
