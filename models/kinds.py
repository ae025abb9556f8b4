"""The kinds of file that go both ways, table by table and column by column (docs/reference/files.md).

The schema of every column here is what a package's `datapackage.json` states, what the gateway checks, and what the
agency guide is generated from. Placement columns depend on the release policy and are described by `PLACEMENT_FIELDS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Type = Literal["string", "integer", "amount", "rate", "date", "datetime", "yearmonth"]
"""`amount`: decimal text with the currency's digits in a file, int64 minor units (`<name>_minor`) in a frame."""


@dataclass(frozen=True)
class Field:
    """One column: its name, type, whether a value must be there, and what it means."""

    name: str
    type: Type = "string"
    required: bool = False
    one_of: tuple[str, ...] = ()
    about: str = ""
    unique: bool = False
    may_be_future: bool = False
    """a day that may lie after the file came; of every other day it is an error"""

    @property
    def column(self) -> str:
        """Its name in a frame: amounts are minor units there and say so."""
        return f"{self.name}_minor" if self.type == "amount" else self.name


@dataclass(frozen=True)
class Kind:
    """One kind of file: who sends it, and its one table."""

    name: str
    to_agency: bool
    table: str
    fields: tuple[Field, ...]
    control: str | None = None
    """the amount field whose sum per currency the manifest states"""

    def field(self, name: str) -> Field:
        """The field of that name."""
        return next(field for field in self.fields if field.name == name)


def _to_agency(name: str, table: str, fields: tuple[Field, ...], control: str | None = None) -> Kind:
    return Kind(name, to_agency=True, table=table, fields=fields, control=control)


def _from_agency(name: str, table: str, fields: tuple[Field, ...], control: str | None = None) -> Kind:
    return Kind(name, to_agency=False, table=table, fields=fields, control=control)


ACCOUNT = Field("account", required=True, about="the account's pseudonym at this agency")
CURRENCY = Field("currency", required=True, about="ISO 4217")

PLACEMENT_FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        field.name: field
        for field in (
            Field("account", required=True, unique=True, about="the account's pseudonym at this agency"),
            Field(
                "debtor", required=True, about="the debtor's pseudonym at this agency: accounts of one person share it"
            ),
            Field(
                "joint_debtor",
                about="the pseudonym at this agency of a debtor whom several lenders collect from together: the same in"
                " the files of each; empty for everybody else",
            ),
            Field("product", required=True),
            CURRENCY,
            Field("balance", "amount", required=True, about="owed as of `as_of`"),
            Field("original", "amount", about="credit granted"),
            Field("principal", "amount"),
            Field("interest", "amount"),
            Field("fees", "amount"),
            Field("as_of", "date", required=True),
            Field("dpd", "integer", required=True, about="days past due as of `as_of`"),
            Field("bucket", required=True),
            Field("region", about="division code or state, as coarse as the policy says"),
            Field("opened_on", about="day or month, as the policy says"),
            Field("due_on"),
            Field("last_paid_on"),
            Field("score_band"),
            Field("stage", required=True),
            Field("round", "integer", required=True),
            Field("placed_on", "date", required=True),
            Field("due_back_on", "date", required=True),
            Field("name"),
            Field("id_number"),
            Field("phone"),
            Field("phone_alt"),
            Field("email"),
            Field("address"),
            Field("employer"),
            Field("contact_name"),
            Field("contact_phone"),
        )
    }
)
"""Every column a placement may have. Which ones leave, and how, is the release policy's to say."""

HOLD_REASONS = (
    "complaint", "dispute", "deceased", "insolvent", "vulnerable", "breathing_space", "payment_plan", "litigation",
    "fraud", "restriction", "other",
)  # fmt: skip
"""Why a debtor can be on hold (docs/glossary.md#hold)."""

INCOME_BANDS = ("low", "medium", "high")
"""How a debtor's income is told by an agency: no figure, and nothing that one could be reckoned from."""

REFUSAL_CODES = (
    "bad_name", "bad_signature", "wrong_signer", "unknown_key", "key_expired", "not_for_us", "truncated", "tampered",
    "not_a_package", "manifest", "hash", "rows", "control_sum", "sequence_repeat", "sequence_gap", "replayed",
    "encoding", "malformed_csv", "missing_column", "unknown_column", "missing", "repeated", "not_currency",
    "wrong_currency", "not_amount", "not_date", "unknown_account", "other",
)  # fmt: skip
"""Why an agency cannot take a file or a line of ours: the codes of our receipts, a missing number, and the rest."""

CORRECTABLE = (
    "region", "opened_on", "due_on", "last_paid_on", "score_band", "name", "id_number", "phone", "phone_alt", "email",
    "address", "employer", "contact_name", "contact_phone",
)  # fmt: skip
"""What a debtor can have corrected. Balance and days past due come with the lender's next snapshot, in an `update`."""

_PLACEMENT = _to_agency("placement", "accounts", tuple(PLACEMENT_FIELDS.values()), control="balance")
_OUT = (
    _PLACEMENT,
    _to_agency("update", "updates", (
        ACCOUNT,
        Field("reason", required=True, one_of=("payment", "balance", "hold", "release")),
        CURRENCY,
        Field("balance", "amount", required=True, about="owed now"),
        Field("payment", "amount", about="taken by the lender since the last word"),
        Field("effective_on", "date", required=True),
    ), control="balance"),
    _to_agency("recall", "recalls", (
        Field("account", required=True, unique=True, about="the account's pseudonym at this agency"),
        Field("reason", required=True),
        Field("due_back_on", "date", required=True, about="stop at once; confirm by this day with a `return`"),
    )),
    _to_agency("receipt", "lines", (
        Field("file", required=True, about="as you named it; what cannot be printed is shown as ?"),
        Field("sha256", about="of the sealed file; empty where it was never read"),
        Field("outcome", required=True, one_of=("accepted", "accepted_with_rejects", "refused")),
        Field("table"), Field("line", "integer", about="1 is the first line after the header; empty: the whole file"),
        Field("column", about="which column of the line, by name, or #3 for the third"),
        Field("code", about="why it was refused, or what we noticed"), Field("fix"),
        Field("lines", "integer", about="of the whole file: how many it has"),
        Field("lines_refused", "integer", about="of the whole file: how many of them do not count"),
        Field("currency", about="of `total`; a file in several has a row for each"),
        Field("total", "amount", about="the sum of the kind's control column over the lines that count"),
    )),
    _to_agency("statement", "lines", (
        Field("period", required=True), Field("agency_txn_id"),
        Field("account", about="the account's pseudonym at this agency; empty: about no single account"),
        Field("type", required=True, one_of=("recovery", "reversal", "direct", "adjustment"),
              about="a line of yours, or what the month as a whole changed of the commission"), CURRENCY,
        Field("gross", "amount", required=True), Field("rate", "rate"), Field("commission", "amount", required=True),
        Field("vat", "amount", required=True), Field("net", "amount", required=True),
        Field("value_date", "date", required=True),
    ), control="gross"),
    _to_agency("invoice_answer", "lines", (
        Field("invoice_no", required=True, about="as you numbered it"),
        Field("line", "integer", required=True, about="1 is the first line after the header of your file"),
        Field("agency_txn_id"), Field("account", about="the account's pseudonym at this agency"), CURRENCY,
        Field("base", "amount", required=True), Field("commission", "amount", required=True, about="as you claim it"),
        Field("vat", "amount", required=True, about="as you claim it"),
        Field("due_commission", "amount", required=True, about="as the contract gives it, for this recovery"),
        Field("due_vat", "amount", required=True),
        Field("outcome", required=True, one_of=("agreed", "disputed")),
        Field("reason", one_of=("nothing_recovered", "commission", "vat", "commission_and_vat"),
              about="why it is disputed; send what is right on your next invoice, or write to us"),
    ), control="due_commission"),
    _to_agency("plan_answer", "plans", (
        Field("plan_ref", required=True, about="as you named it"), ACCOUNT,
        Field("outcome", required=True, one_of=("approved", "refused", "fulfilled", "broken", "ended"),
              about="approved: collect by it; fulfilled, broken, ended: it counts no more"),
        Field("codes", about="why it was refused, with commas between (docs/reference/strategies.md)"), CURRENCY,
        Field("total", "amount", required=True, about="of all its instalments"),
        Field("paid", "amount", required=True, about="under it, as we know it"),
        Field("effective_on", "date", required=True),
    ), control="total"),
    _to_agency("erasure_request", "erasures", (
        Field("account", required=True, unique=True, about="the account's pseudonym at this agency"),
        Field("scope", required=True, about="all: everything received about it, copies and backups included"),
        Field("erase_by", "date", required=True),
    )),
    _to_agency("correction", "corrections", (
        Field("account", required=True, unique=True, about="the account's pseudonym at this agency"),
        Field("effective_on", "date", required=True,
              about="the other columns hold what is right from this day on, as in a placement; empty: there is none"),
        *(PLACEMENT_FIELDS[name] for name in CORRECTABLE),
    )),
    _to_agency("certification", "steps", (
        Field("level", required=True, about="what it belongs to: each level holds the one before it"),
        Field("step", required=True, about="docs/reference/certification.md says what each is"),
        Field("by", required=True, one_of=("lender", "agency"), about="whose turn it is"),
        Field("state", required=True, one_of=("waiting", "open", "done", "failed")),
        Field("code", about="why it failed"), Field("about", required=True), Field("fix", about="what to do"),
        Field("about_zh", required=True), Field("fix_zh"),
    )),
    _to_agency("key_announcement", "keys", (
        Field("suite", required=True, one_of=("age", "openpgp"), about="which way of sealing the key belongs to"),
        Field("generation", "integer", required=True, about="which of the lender's keys this is"),
        Field("encrypt", required=True,
              about="what to encrypt to: an age recipient; of OpenPGP the public key in base64, on one line"),
        Field("encrypt_fingerprint", required=True),
        Field("verify", required=True, about="what to verify with: an OpenSSH line; of OpenPGP the same public key"),
        Field("fingerprint", required=True, about="of the key that signs"),
        Field("valid_from", "datetime", required=True, about="from then on the lender signs with it"),
        Field("valid_until", "datetime", required=True, about="from then on the lender opens nothing with it"),
        Field("follows", about="fingerprint of the key that signs until then, and this file"),
        Field("follows_until", "datetime", about="from then on the lender opens nothing with that one"),
    )),
)  # fmt: skip
_IN = (
    _from_agency("acknowledgement", "accounts", (
        Field("account", required=True, unique=True, about="the account's pseudonym at this agency"),
        Field("status", required=True, one_of=("booked", "rejected")), CURRENCY,
        Field("booked_balance", "amount", required=True), Field("booked_on", "date", required=True), Field("reason"),
    ), control="booked_balance"),
    _from_agency("activity", "contacts", (
        ACCOUNT, Field("at", "datetime", required=True, about="with its offset from UTC"),
        Field("channel", required=True, one_of=("phone", "sms", "field", "online", "letter", "legal")),
        Field("contact_point_ref", about="your own lasting name of one number or address of the debtor"),
        Field("outcome", required=True, one_of=(
            "connected", "no_answer", "busy", "invalid", "sent", "met", "not_met", "promise", "refused", "third_party",
        )),
        Field("collector_ref"),
    )),
    _from_agency("return", "accounts", (
        Field("account", required=True, unique=True, about="the account's pseudonym at this agency"),
        Field("reason", required=True, one_of=(
            "recalled", "paid", "settled", "deceased", "bankrupt", "untraceable", "disputed", "term", "uncollectable",
        )),
        Field("returned_on", "date", required=True), CURRENCY, Field("final_balance", "amount"),
    )),
    _from_agency("remittance", "lines", (
        Field("agency_txn_id", about="the agency's own id of the transaction; keep it stable"), ACCOUNT,
        Field("type", required=True, one_of=("recovery", "reversal")), CURRENCY,
        Field("gross", "amount", required=True, about="what the debtor paid; negative for a reversal"),
        Field("commission", "amount", about="withheld, where the contract says net"),
        Field("vat", "amount", about="on the commission withheld"),
        Field("net", "amount", required=True, about="handed over for this line"),
        Field("value_date", "date", required=True), Field("batch_ref", about="reference of the bank transfer"),
        Field("original_txn_id", about="of a reversal: what it undoes"),
    ), control="net"),
    _from_agency("invoice", "lines", (
        Field("invoice_no", required=True), Field("agency_txn_id"), ACCOUNT, CURRENCY,
        Field("base", "amount", required=True, about="gross recovery that commission is claimed on"),
        Field("commission", "amount", required=True), Field("vat", "amount", required=True),
        Field("period", "yearmonth", required=True),
    ), control="commission"),
    _from_agency("erasure_certificate", "erasures", (
        Field("account", required=True, unique=True, about="the account's pseudonym at this agency"),
        Field("erased_at", "datetime", required=True),
        Field("scope", required=True, one_of=("all", "partial")), Field("method", required=True),
        Field("certified_by", required=True, about="the role or officer who answers for it"), Field("retained"),
    )),
    _from_agency("correction_confirmation", "corrections", (
        ACCOUNT, Field("field", required=True, one_of=CORRECTABLE, about="the column of our `correction`"),
        Field("status", required=True, one_of=("corrected", "not_held")),
        Field("corrected_on", "date", required=True),
    )),
    _from_agency("complaint", "complaints", (
        Field("complaint_ref", required=True, unique=True), Field("account"),
        Field("received_on", "date", required=True),
        Field("category", required=True), Field("severity", one_of=("normal", "serious")),
    )),
    _from_agency("plan", "instalments", (
        Field("plan_ref", required=True, about="the agency's own name of the plan; a changed plan has another"),
        ACCOUNT, Field("instalment", "integer", required=True, about="1, 2, 3 … within the plan"),
        Field("due_on", "date", required=True, may_be_future=True), CURRENCY, Field("amount", "amount", required=True),
        Field("income_band", one_of=INCOME_BANDS, about="as the debtor states it; of a plan's first line that has one"),
    ), control="amount"),
    _from_agency("hold_request", "accounts", (
        Field("account", required=True, unique=True, about="the account's pseudonym at this agency"),
        Field("reason", required=True, one_of=HOLD_REASONS), Field("since", "date", required=True),
        Field("until", "date", about="empty: until the lender lifts it", may_be_future=True),
    )),
    _from_agency("recall_objection", "accounts", (
        Field("account", required=True, unique=True, about="the account's pseudonym at this agency"),
        Field("reason", required=True, one_of=(
            "payment_promised", "payment_on_its_way", "plan_running", "legal_action", "debtor_asks",
        )),
        Field("keep_until", "date", required=True, about="the day to which the agency asks to keep it",
              may_be_future=True),
    )),
    _from_agency("refusal", "refusals", (
        Field("file", required=True, about="the name of the lender's file that the agency cannot take"),
        Field("sha256", about="of the sealed file, as it came"),
        Field("at_line", "integer", about="1 is the first line after the header; empty: the whole file"),
        Field("at_column"), Field("code", required=True, one_of=REFUSAL_CODES),
    )),
    _from_agency("fingerprint", "fingerprints", (
        Field("whose", required=True, one_of=("lender", "agency"), about="whose key it is"),
        Field("use", required=True, one_of=("sign", "encrypt")),
        Field("fingerprint", required=True, about="as the agency's own machine shows it"),
        Field("compared_on", "date", required=True),
        Field("compared_by", required=True, about="the role of who compared it with the other side's"),
    )),
)  # fmt: skip

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _OUT + _IN})
OUTBOUND = frozenset(kind.name for kind in _OUT)
INBOUND = frozenset(kind.name for kind in _IN)

CODE = r"[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])"
FILE_NAME = re.compile(
    rf"(?P<lender>{CODE})\.(?P<agency>{CODE})\.(?P<kind>{'|'.join(KINDS)})"
    r"\.(?P<day>[0-9]{8})\.(?P<sequence>[0-9]{6})\.(?P<ending>zip|csv|txt|xlsx)(?P<suffix>\.age|\.pgp|)"
)
"""Full-match only: names in a listing are hostile. `zip` is a package, any other ending a plain file of a layout."""


def file_name(lender: str, agency: str, kind: str, day: str, sequence: int, suffix: str, ending: str = "zip") -> str:
    """`{lender}.{agency}.{kind}.{yyyymmdd}.{sequence:06d}.zip` and the sealing suite's suffix."""
    return f"{lender}.{agency}.{kind}.{day}.{sequence:06d}.{ending}{suffix}"
