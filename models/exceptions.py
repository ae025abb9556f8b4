"""What can go amiss in the exchange so that a person must look: a code each, with its owner, deadline and fix."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Role = Literal["portfolio manager", "finance", "compliance", "operations"]
Severity = Literal["low", "normal", "high", "critical"]

ROLES: Final[tuple[Role, ...]] = ("portfolio manager", "finance", "compliance", "operations")
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "high", "normal", "low")


@dataclass(frozen=True)
class Kind:
    """One code: what it means, who owns it until a person takes it, and by when it is to be resolved."""

    about: str
    owner: Role
    severity: Severity
    within: str
    """the owner's deadline, a span of `models.calendar`"""
    fix: str
    recurs: bool = False
    """Whether what ended may begin again, as another occurrence; what came once with one file may not."""


CODES: Final[Mapping[str, Kind]] = MappingProxyType({
    # -- what a bank sent ----------------------------------------------------------------------------------------------
    "bank_gap": Kind(
        "statements are missing between two of an account",
        "finance", "high", "1 business day",
        "ask the bank for the statements between them; it resolves itself when they are in",
        recurs=True,
    ),
    "bank_unconfirmed": Kind(
        "a report said that entries were booked, and the statement of the day does not have them",
        "finance", "high", "1 business day",
        "ask the bank; the entries stand in the books, and a person undoes what never was",
    ),
    # -- what an agency sent -------------------------------------------------------------------------------------------
    "sequence_gap": Kind(
        "files with lower numbers of this kind have not come",
        "operations", "high", "1 business day",
        "ask the agency for the missing numbers; it resolves itself when they are in",
        recurs=True,
    ),
    "sequence_repeat": Kind(
        "a number was used again for another file, which was refused",
        "operations", "high", "1 business day",
        "ask the agency what the second file was, and to send it under its next number",
    ),
    "chain_broken": Kind(
        "a file names another file before it than the one we hold: something was replaced, lost or made twice",
        "compliance", "high", "1 business day",
        "compare with the agency the SHA-256 of the sealed file before this one",
    ),
    "file_refused": Kind(
        "a whole file was refused",
        "operations", "high", "1 business day",
        "the receipt told the agency why and how to mend it; see that the corrected file comes",
    ),
    "file_unfit": Kind(
        "a file could not be fetched as it was declared, or is too large, and was put aside",
        "operations", "high", "1 business day",
        "the receipt told the agency; see that the file comes again, whole",
    ),
    "names_ignored": Kind(
        "something lies in the drop that is no file for us: a name that could do harm, a link, a file too large",
        "operations", "normal", "2 business days",
        "have the agency take it away; the receipts told it which; it resolves itself when it is gone",
        recurs=True,
    ),
    "drop_overfull": Kind(
        "so many names lie in the drop that not all of them were looked at (`max_names`): a file may wait among them",
        "operations", "critical", "1 business day",
        "have the agency take away what is no file for us, or raise `max_names` for it; it resolves itself then",
        recurs=True,
    ),
    "file_unjudged": Kind(
        "we failed to judge a file: a fault of ours, not of the file's",
        "operations", "critical", "4 hours",
        "`consign doctor` names the fault; mend it and run `consign collect`: the file is kept and judged then",
        recurs=True,
    ),
    "refused_by_agency": Kind(
        "the agency could not take a file of ours, or a line of it, and says why",
        "operations", "high", "1 business day",
        "look at what was sent (`consign exceptions show`), mend it and send it anew; the agency has not booked it",
    ),
    "key_not_confirmed": Kind(
        "the agency sees another fingerprint than ours: somebody may sit between us",
        "compliance", "critical", "4 hours",
        "send nothing more; telephone the agency at the number in the contract and compare every fingerprint",
    ),
    # -- what we send --------------------------------------------------------------------------------------------------
    "presumed_long": Kind(
        "a delivery could neither be proved nor disproved, and the agency has not answered it since",
        "operations", "high", "1 business day",
        "ask the agency whether it has the file; its acknowledgement resolves this",
    ),
    "transmission_stuck": Kind(
        "a file has waited for longer than the setting allows and is not with the agency",
        "operations", "high", "1 business day",
        "`consign deliver AGENCY` says what stops it; it resolves itself when the file is out",
    ),
    "circuit_open": Kind(
        "the agency's server does not answer, and is asked again with growing pauses",
        "operations", "high", "4 hours",
        "ask the agency; `consign agency circuit AGENCY --reset` tries at once; it resolves itself when the server"
        " answers",
        recurs=True,
    ),
    "connection_refused_for_good": Kind(
        "the agency's server shows another host key, refuses our login, or has no safe drop: trying again cannot help",
        "operations", "critical", "4 hours",
        "compare the host key's fingerprint with the agency by telephone, or have it admit our key; then"
        " `consign agency circuit AGENCY --reset`",
        recurs=True,
    ),
    "gate_stopped": Kind(
        "the gate found an identifier where none may be, or something that is not released: the file stays",
        "compliance", "high", "1 business day",
        "`consign gate show FILE` names column, line and kind; have the lender correct it, or, of a false alarm,"
        " `consign gate allow`, and a second person approves; then `consign deliver AGENCY`",
        recurs=True,
    ),
    # -- clocks --------------------------------------------------------------------------------------------------------
    "late_acknowledgement": Kind(
        "a placement has not been acknowledged in the time of the contract",
        "portfolio manager", "high", "1 business day",
        "ask the agency for its acknowledgement; until then nobody knows whether it works the accounts",
    ),
    "unconfirmed_recall": Kind(
        "recalled accounts have not been confirmed in the time of the contract: debtors may be chased after paying",
        "portfolio manager", "critical", "4 hours",
        "call the agency today, and stop new placements if it cannot say that it has stopped",
        recurs=True,
    ),
    "overdue_erasure": Kind(
        "an erasure has not been certified in the time of the contract",
        "compliance", "high", "2 business days",
        "ask the agency for its certificate; the law asks us",
    ),
    "silent_agency": Kind(
        "the agency holds accounts and has reported no activity for longer than the contract allows",
        "portfolio manager", "normal", "2 business days",
        "ask the agency whether it works the accounts; its next activity file resolves this",
        recurs=True,
    ),
    "reidentification_excess": Kind(
        "a person asked to see more identities than the limit allows, and was refused",
        "compliance", "critical", "1 business day",
        "`consign identity asked` shows what was asked and why; speak with the person, and with whoever leads them",
        recurs=True,
    ),
    "subject_request_overdue": Kind(
        "a debtor's request about their data has not been answered in the time of the law",
        "compliance", "critical", "4 hours",
        "`consign subject show` says what it waits for; answer it today, then `consign subject answer`",
        recurs=True,
    ),
    "register_excess": Kind(
        "a person has looked into the disclosure register more often in a day than the setting expects",
        "compliance", "high", "1 business day",
        "`consign disclosures asked` shows what was asked and why; speak with the person, and with whoever leads them",
        recurs=True,
    ),
    # -- consolidated collection ---------------------------------------------------------------------------------------
    "linked_divided": Kind(
        "persons who are one debtor for several lenders have accounts with several agencies",
        "portfolio manager", "normal", "5 business days",
        "`consign consolidate divided` names them; recall the accounts from one of the agencies, and plan them anew",
        recurs=True,
    ),
    "joint_share_open": Kind(
        "an agency has not remitted, or not as it was split, what a debtor paid for several accounts together",
        "finance", "high", "2 business days",
        "`consign consolidate shares --agency AGENCY` names what waits and what differs; ask the agency for it",
        recurs=True,
    ),
    # -- models of who pays --------------------------------------------------------------------------------------------
    "propensity_drift": Kind(
        "a lender's model of who pays is of other accounts than today's, or its chances no longer come true",
        "portfolio manager", "normal", "5 business days",
        "`consign propensity drift LENDER` shows facts and months; fit a new model and have it approved, or withdraw"
        " this one; it resolves itself when neither is so any more",
        recurs=True,
    ),
    # -- the house -----------------------------------------------------------------------------------------------------
    "key_expiring": Kind(
        "a key will expire soon, or has expired",
        "operations", "high", "5 business days",
        "`consign keys list` shows it; rotate ours, or ask the agency for its new one and compare fingerprints",
        recurs=True,
    ),
    "host_key_expiring": Kind(
        "the host key pinned for an agency's server ends soon, or its server still shows the one that ends",
        "operations", "high", "5 business days",
        "ask the agency for the new one; `consign agency host-key scan` compares; then `consign agency host-key add`",
        recurs=True,
    ),
    "credential_expiring": Kind(
        "our SSH client key for an agency's server ends soon, or the server still takes only the one that ends",
        "operations", "high", "5 business days",
        "`consign agency credential rotate`; the agency adds the line; `consign agency credential confirm` tries it",
        recurs=True,
    ),
    "key_not_installed": Kind(
        "our next key signs soon, and the agency has not said that it has it: it will refuse what we send",
        "operations", "high", "2 business days",
        "ask the agency; its `fingerprint` file resolves this; `consign keys announce` writes the files to hand over",
        recurs=True,
    ),
    "trail_broken": Kind(
        "the audit trail is not what it was: an event was changed, taken away or put in another order",
        "compliance", "critical", "4 hours",
        "`consign audit verify` names the first event that shows it; keep the store as it is, restore a backup beside"
        " it and compare",
        recurs=True,
    ),
    "calendar_unknown": Kind(
        "the holidays of a year are not known yet: its business days are weekdays that are no fixed holiday",
        "operations", "normal", "10 business days",
        "update the `holidays` package, or state the year in the file of the setting `calendars`",
        recurs=True,
    ),
    # -- conduct -------------------------------------------------------------------------------------------------------
    "conduct_breach": Kind(
        "the audit of conduct found serious breaches in what an agency reported",
        "compliance", "high", "2 business days",
        "`consign conduct breaches --agency AGENCY --severity serious` shows clause and line of each; hear the agency,"
        " then `consign conduct uphold` or `dismiss`",
    ),
    "gate_closed": Kind(
        "an agency is above a limit of conduct and gets no new placements",
        "compliance", "high", "5 business days",
        "`consign conduct gates` says which; mend the cause; `consign conduct lift` asks, a second person grants",
        recurs=True,
    ),
    "complaint_overdue": Kind(
        "a complaint has not been answered in the time of the rule pack",
        "compliance", "high", "1 business day",
        "answer it today, then `consign complaint close`",
        recurs=True,
    ),
    "diligence_due": Kind(
        "evidence of due diligence about an agency is missing, has expired or expires soon",
        "compliance", "normal", "10 business days",
        "ask the agency for it; `consign diligence add` takes it; `consign diligence due` shows what is wanting",
        recurs=True,
    ),
})  # fmt: skip
