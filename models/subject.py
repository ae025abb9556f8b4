"""Requests of debtors about their data: access, correction, erasure, restriction; their clocks, grounds and answers.

Sources, as they were read: PIPL arts. 44 to 50 (access and copy 45, correction 46, erasure 47, restriction and refusal
44, withdrawn consent 15, timely handling 50); GDPR arts. 12 and 15 to 21. Which clock counts the lender's rule pack
says (models/conduct/packs), and where it does not, the house's setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from models.intake.fields import ACCOUNT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["access", "correction", "erasure", "restriction"]

KINDS: Final[Mapping[str, str]] = MappingProxyType({
    "access": "what is held about the debtor, and who was told what",
    "correction": "a value that is wrong is corrected, here and at every agency that was told it",
    "erasure": "every agency deletes what it was told, and the identity is destroyed here unless it must be kept",
    "restriction": "the debtor is on hold at once, agencies give the accounts back, and data are stored only",
})  # fmt: skip

GROUNDS: Final[Mapping[str, str]] = MappingProxyType({
    "asked": "the debtor asks for it",
    "objection": "the debtor objects to the processing (PIPL art. 44; GDPR art. 21)",
    "consent_withdrawn": "a consent that it rested on was withdrawn (PIPL art. 15; GDPR art. 7(3))",
    "accuracy": "the debtor contests that the data are right (GDPR art. 18(1)(a))",
    "unlawful": "the processing is unlawful, and the debtor wants no erasure (GDPR art. 18(1)(b))",
    "legal_claims": "the debtor needs the data for legal claims (GDPR art. 18(1)(c))",
})  # fmt: skip
"""Why processing is restricted; objections and withdrawn consent are restrictions with a reason of their own."""


@dataclass(frozen=True)
class Basis:
    """A legal reason not to do what was asked, or not all of it, and of which kinds of request."""

    about: str
    kinds: tuple[Kind, ...]


_ALL: Final[tuple[Kind, ...]] = ("access", "correction", "erasure", "restriction")
BASES: Final[Mapping[str, Basis]] = MappingProxyType({
    "identity_not_proved": Basis("who asks has not proved to be the debtor (PIPL art. 50; GDPR art. 12(6))", _ALL),
    "retention_duty": Basis("a law says how long it is kept; till then it is stored only (PIPL art. 47(2);"
                            " GDPR art. 17(3)(b))", ("erasure", "restriction")),
    "contract_running": Basis("it is needed for the contract, which still runs (PIPL art. 13(2); GDPR art. 6(1)(b))",
                              ("erasure", "restriction")),
    "legal_claims": Basis("it is needed for legal claims (GDPR arts. 17(3)(e), 18(2))", ("erasure", "restriction")),
    "accurate": Basis("it was checked, and is right as it stands (PIPL art. 46(2); GDPR art. 16)", ("correction",)),
    "secrecy_by_law": Basis("a law forbids telling it (PIPL arts. 18(1), 45(1); GDPR art. 15(4))", ("access",)),
    "excessive": Basis("the same was asked and answered a short while ago (GDPR art. 12(5))", _ALL),
    "withdrawn": Basis("the debtor took the request back", _ALL),
})  # fmt: skip

OPEN: Final = ("received", "verified", "in_progress", "waiting")
"""The states in which the clock runs."""
WORKED_ON: Final = ("in_progress", "waiting")
HOLD: Final = "restriction"
"""The reason of the hold that a restriction, or an erasure under way, puts on the debtor."""
RECALLED_FOR: Final = ("erasure", "restriction")
"""The kinds that take the debtor's accounts back from agencies."""


def is_identity(field: str) -> bool:
    """Whether the field lies sealed in the vault; it is then the person's, the same for each of the accounts."""
    return ACCOUNT_FIELDS[field].identity


def onward(state: str, outstanding: int) -> str:
    """Whose turn it is: the agencies' while they owe an answer, ours when they owe none."""
    if state not in WORKED_ON:
        return state
    return "waiting" if outstanding else "in_progress"
