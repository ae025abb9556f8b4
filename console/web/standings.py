"""How things stand, in words and colours: a plan, a placement, a recall, an agency, a file, a key."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from console.web.language import later

if TYPE_CHECKING:
    from collections.abc import Mapping

Standing = tuple[str, str]
"""The word in English, marked for translation, and the tone of its badge."""


def _table(**told: Standing) -> Mapping[str, Standing]:
    return MappingProxyType(told)


PORTFOLIO: Final = _table(
    accepted=(later("Accepted"), "good"),
    refused=(later("Refused"), "bad"),
    erased=(later("Erased"), "plain"),
)
PLAN: Final = _table(
    draft=(later("Draft"), "plain"),
    submitted=(later("Waits for approval"), "warn"),
    approved=(later("Approved"), "info"),
    placed=(later("Sent"), "good"),
    rejected=(later("Discarded"), "plain"),
    expired=(later("Expired"), "bad"),
)
PLACEMENT: Final = _table(
    planned=(later("Planned"), "plain"),
    placed=(later("Sent, not acknowledged"), "warn"),
    acknowledged=(later("With the agency"), "good"),
    recalled=(later("Recalled"), "warn"),
    closed=(later("Closed"), "plain"),
)
AGENCY: Final = _table(
    prospect=(later("Prospect"), "plain"),
    certified=(later("Certified"), "info"),
    live=(later("Live"), "good"),
    suspended=(later("Suspended"), "warn"),
    closed=(later("Closed"), "plain"),
)
CERTIFICATE: Final = _table(
    valid=(later("Valid"), "good"),
    waived=(later("Waived"), "warn"),
    expired=(later("Expired"), "bad"),
    keys_changed=(later("Keys changed since"), "bad"),
    layout_changed=(later("Layout changed since"), "bad"),
    too_low=(later("Level too low"), "bad"),
    none=(later("None"), "plain"),
)
CIRCUIT: Final = _table(
    closed=(later("Answers"), "good"),
    open=(later("Left in peace"), "bad"),
    half_open=(later("Being tried"), "warn"),
)
SENT: Final = _table(
    prepared=(later("Prepared"), "plain"),
    sealed=(later("Sealed"), "plain"),
    delivered=(later("Delivered"), "info"),
    presumed=(later("Presumed delivered"), "warn"),
    acknowledged=(later("Acknowledged"), "good"),
    cancelled=(later("Cancelled"), "plain"),
)
CAME: Final = _table(
    claimed=(later("Received"), "plain"),
    opened=(later("Opened"), "plain"),
    accepted=(later("Accepted"), "good"),
    refused=(later("Refused"), "bad"),
)
KEY: Final = _table(
    valid=(later("Valid"), "good"),
    waiting=(later("Waits for a second person"), "warn"),
    pending=(later("Not yet in force"), "info"),
    expired=(later("Expired"), "bad"),
    revoked=(later("Revoked"), "bad"),
    withdrawn=(later("Withdrawn"), "plain"),
    retired=(later("Retired"), "plain"),
)
STEP: Final = _table(
    done=(later("Shown"), "good"),
    failed=(later("Failed"), "bad"),
    open=(later("To do"), "plain"),
    waiting=(later("To do"), "plain"),
)
"""Steps of a certification."""
RUN: Final = _table(
    open=(later("Under way"), "info"),
    passed=(later("Passed"), "good"),
    stopped=(later("Stopped"), "bad"),
    given_up=(later("Given up"), "plain"),
)
"""Runs of certifications."""
DUE: Final = _table(
    ok=(later("In order"), "good"),
    expiring=(later("Ends soon"), "warn"),
    expired=(later("Expired"), "bad"),
    missing=(later("Missing"), "bad"),
)
"""Needs of due diligence."""
READ: Final[Mapping[str, str]] = MappingProxyType(
    {"text": later("read in its text"), "secondary": later("read of it"), "unverified": later("not read")}
)
"""How a clause of law was read by us."""
OBJECTION: Final = _table(
    open=(later("To decide"), "warn"),
    upheld=(later("Upheld"), "good"),
    dismissed=(later("Dismissed"), "plain"),
)
EVALUATION: Final = _table(
    proposed=(later("Waits for approval"), "warn"),
    approved=(later("Approved"), "good"),
    rejected=(later("Refused by a person"), "bad"),
    superseded=(later("Superseded"), "plain"),
)
BASIS: Final = _table(
    proposed=(later("Waits for approval"), "warn"),
    in_force=(later("In force"), "good"),
    withdrawn=(later("Ended"), "plain"),
)
MODEL: Final = _table(
    proposed=(later("Waits for approval"), "warn"),
    in_use=(later("In use"), "good"),
    superseded=(later("Superseded"), "plain"),
    withdrawn=(later("Withdrawn"), "plain"),
)
DRIFT: Final = _table(
    stable=(later("Still the same"), "good"),
    watch=(later("Something moved"), "warn"),
    warn=(later("Look at it"), "bad"),
    too_few=(later("Too few to say"), "plain"),
)
JOINT_SHARE: Final = _table(
    waiting=(later("Not remitted yet"), "warn"),
    remitted=(later("Remitted"), "good"),
    differs=(later("Remitted otherwise"), "bad"),
)
SPLIT_ORDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "oldest_first": later("what fell due first, first; on one day by what is owed"),
        "pro_rata": later("by what is owed on each account"),
        "lender_order": later("lender by lender in their rank, then what fell due first"),
    }
)
STAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "reminder": later("Reminder"),
        "phone": later("Phone"),
        "field": later("Field visit"),
        "legal": later("Legal"),
    }
)
HOLDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "complaint": later("Complaint"),
        "dispute": later("Dispute"),
        "deceased": later("Deceased"),
        "insolvent": later("Insolvent"),
        "vulnerable": later("Vulnerable"),
        "breathing_space": later("Breathing space"),
        "payment_plan": later("Instalment plan kept"),
        "litigation": later("Litigation"),
        "fraud": later("Fraud"),
        "other": later("Other reason"),
    }
)
RECALLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **HOLDS,
        "paid": later("Paid"),
        "term": later("End of term"),
        "request": later("At our request"),
        "performance": later("Performance"),
    }
)
EXCLUSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "erased": later("Erased"),
        "closed": later("Closed"),
        "paid": later("Paid"),
        "hold": later("On hold"),
        "placed": later("Already with an agency"),
        "in_plan": later("In another plan that is submitted or approved"),
        "nothing_owed": later("Nothing is owed"),
        "other_currency": later("In another currency than the plan"),
        "below_minimum": later("Below the minimum balance"),
        "no_agency_left": later("No agency may take the debtor"),
        "incumbent_unavailable": later("The debtor's other accounts are with an agency that may not take this one"),
        "no_capacity": later("No room left at any agency that may take it"),
    }
)

BOUNDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "capacity": later("room for accounts"),
        "capacity_minor": later("room for balance"),
        "minimum": later("minimum volume"),
        "change": later("change against the last plan"),
        "region": later("concentration in a region"),
        "share": later("share of the accounts"),
        "balance": later("share of the balance"),
        "challenger": later("challenger's floor"),
        "learning": later("learning by giving to others too"),
    }
)
"""Bounds of an optimised plan."""
SCHEDULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "attend": later("Follow debtors' requests"),
        "back_up": later("Back the store up"),
        "collect": later("Fetch the agencies' files"),
        "conduct": later("Audit conduct"),
        "consolidate": later("Look up who is one debtor for several lenders"),
        "deliver": later("Send what waits"),
        "erase": later("Ask for erasure and watch for certificates"),
        "evaluate": later("Propose the next cycle from the scores"),
        "expire_plans": later("End plans that no longer hold"),
        "follow_instalments": later("Follow instalment plans"),
        "foretell": later("Ask the models of who pays"),
        "recall": later("Recall what is due"),
        "reconcile": later("Reconcile"),
        "retain": later("Delete what is due"),
        "score": later("Score the agencies"),
        "strategise": later("Propose moves between stages"),
        "update": later("Tell agencies of changed balances"),
        "watch": later("Watch the clocks of exceptions"),
        "watch_keys": later("Watch what ends soon"),
        "witness": later("Sign the audit trail"),
    }
)
"""The flows that run by themselves."""


def of(table: Mapping[str, Standing], state: str) -> Standing:
    """The word and tone of a state; a state that nobody put into words is told as it is."""
    return table.get(state, (state, "plain"))
