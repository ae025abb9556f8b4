"""What may leave to an agency: deny by default, field by field, by purpose, stage and channel.

A policy is a TOML file (docs/reference/policies.md). It lists *entries*: for one purpose, at some stages, over some
channels, the fields that leave and how. A field that an entry does not name stays. Of the entries that cover the
purpose, the stage and any channel of the agency's mandate one counts, in this order: what names the agency before what
is for every agency; a policy that stands `over` this one for some agencies before its own entries; and the first of the
file before the next.

Pseudonyms (`account`, `debtor`) are not a policy's to give: every placement has them, under the agency's own key.

Three promises, whatever the policy and whatever the frame:

1. `minimise` returns the columns of the release and no other; each is made from the field of its own name alone
   (a band of an amount reads the currency beside it). Neither another column nor text in the index comes along.
2. A masked, banded, coarsened or shortened value never leaves whole.
3. Whole ID or card numbers, or more of them than six digits before and four after the stars, anything about third
   parties, and the joint reference of a debtor of several lenders need a legal basis written in the entry that releases
   them; without it the policy does not load.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import combinations, product
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pandas as pd

from models import packaged
from models.errors import ConsignError, RefusedByPolicy, UsageError
from models.gate import limits
from models.kinds import PLACEMENT_FIELDS, Field
from models.policy_file import NAME, VERSION, PolicyInvalid, Table, treatment
from models.treatments import (
    ALL_STARS,
    DATES,
    IDENTITY,
    JOINT,
    PSEUDONYMS,
    STARS,
    THIRD_PARTY,
    WHOLE,
    WHOLE_NEEDS_BASIS,
    Treatment,
    is_banded_amount,
    shows_much,
    treated,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = [
    "ALL_STARS",
    "CHANNELS",
    "DATES",
    "IDENTITY",
    "PSEUDONYMS",
    "STAGES",
    "STARS",
    "THIRD_PARTY",
    "VALUE_CLASSES",
    "ColumnsMissing",
    "Disclosed",
    "Entry",
    "FieldNotReleased",
    "NotReleased",
    "Policy",
    "PolicyInvalid",
    "Purpose",
    "Release",
    "Treatment",
    "load",
    "minimise",
    "shipped",
]

STAGES: Final = ("reminder", "phone", "field", "legal")
CHANNELS: Final = ("phone", "sms", "field", "online", "letter", "legal")
EVERY_AGENCY: Final = "*"
NO_LIMITS: Final = limits.Limits()
VERIFIED: Final = ("text", "secondary", "unverified")
"""How the clause behind a basis was read: the text, a secondary account, or not at all (confirm with counsel)."""
VALUE_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(PLACEMENT_FIELDS, "fact"),
        **dict.fromkeys((*PSEUDONYMS, JOINT), "pseudonym"),
        **dict.fromkeys(("balance", "original", "principal", "interest", "fees", "last_paid_on"), "financial"),
        **dict.fromkeys(("phone", "phone_alt", "email", "address"), "contact"),
        **dict.fromkeys(("name", "employer"), "identity"),
        "id_number": "identifier",
        **dict.fromkeys(sorted(THIRD_PARTY), "third_party"),
    }
)
"""What kind of value each field holds, for the disclosure register."""


class NotReleased(RefusedByPolicy):
    """No entry of the policy covers this purpose, stage and mandate: nothing at all may leave."""


class FieldNotReleased(RefusedByPolicy):
    """Somebody asked for fields that the release withholds."""

    def __init__(self, release: Release, withheld: Sequence[str]) -> None:
        super().__init__(
            f"policy {release.policy} {release.version} withholds {', '.join(withheld)}"
            f" for {release.purpose} at stage {release.stage}",
            fix="leave the fields out of the agency's layout, or have the policy changed and approved",
        )
        self.withheld = tuple(withheld)


class ColumnsMissing(ConsignError):
    """The frame lacks columns that the release is made from, or has one of them twice."""


@dataclass(frozen=True)
class Disclosed:
    """One field of a release, as the disclosure register keeps it."""

    field: str
    treatment: str
    value_class: str


@dataclass(frozen=True)
class Release:
    """What leaves for one purpose, at one stage, to an agency with one mandate."""

    policy: str
    version: str
    sha256: str
    purpose: str
    stage: str
    channels: tuple[str, ...]
    """of the mandate, those that the entry covers"""
    basis: str
    verified: str
    legal_basis: str
    erase_after_days: int
    """days after the placement's end by which the agency must have deleted everything"""
    entry: int
    """which entry of the file speaks, from 1"""
    agencies: tuple[str, ...]
    """those that it speaks of by name; none: of every agency"""
    treatments: Mapping[str, Treatment]
    """of every field that leaves, in the order of `PLACEMENT_FIELDS`; pseudonyms are not among them"""
    held_back: Mapping[str, str]
    """of every other field: the rule that holds it back"""
    risk: limits.Limits = NO_LIMITS
    """what must hold of a package as a whole (models.gate.risk)"""

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The columns of the file, as they leave: the pseudonyms first."""
        return tuple(
            self.treatments[name].leaving(field) if name in self.treatments else field
            for name, field in PLACEMENT_FIELDS.items()
            if name in self.treatments or name in PSEUDONYMS
        )

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The frame's columns that `minimise` reads."""
        names = [PLACEMENT_FIELDS[field.name].column for field in self.fields]
        banded = any(is_banded_amount(name, how) for name, how in self.treatments.items())
        return tuple(dict.fromkeys([*names, *(["currency"] if banded else [])]))

    @cached_property
    def needs_identity(self) -> tuple[str, ...]:
        """The identity columns to open; every other cell stays sealed."""
        return tuple(name for name in IDENTITY if name in self.treatments)

    @property
    def control(self) -> str | None:
        """The amount field that the manifest sums, or None where the balance leaves as a band or not at all."""
        return "balance" if any(field.name == "balance" and field.type == "amount" for field in self.fields) else None

    @property
    def generalised(self) -> tuple[str, ...]:
        """The fields that leave less exact than they are."""
        return tuple(name for name, treatment in self.treatments.items() if treatment.how != "release")

    @property
    def disclosed(self) -> tuple[Disclosed, ...]:
        """Every field that leaves, pseudonyms too, as the disclosure register keeps it."""
        return tuple(
            Disclosed(
                field.name,
                self.treatments[field.name].how if field.name in self.treatments else "pseudonym",
                VALUE_CLASSES[field.name],
            )
            for field in self.fields
        )


@dataclass(frozen=True)
class Purpose:
    """Why data are processed at all."""

    name: str
    basis: str
    verified: str
    erase_after_days: int


@dataclass(frozen=True)
class Entry:
    """One `[[release]]` of a policy file."""

    number: int
    purpose: str
    stages: tuple[str, ...]
    channels: tuple[str, ...]
    treatments: Mapping[str, Treatment]
    legal_basis: str = ""
    verified: str = ""
    erase_after_days: int | None = None
    about: str = ""
    agencies: tuple[str, ...] = ()
    """for these alone; none: for every agency"""
    risk: limits.Limits | None = None
    """instead of the policy's own, where it says so"""

    @property
    def reach(self) -> frozenset[tuple[str, str, str, str]]:
        """Every purpose, stage, channel and agency that it covers."""
        return frozenset(product((self.purpose,), self.stages, self.channels, self.agencies or (EVERY_AGENCY,)))

    def covers(self, purpose: str, stage: str, channels: Collection[str], agency: str) -> bool:
        """Whether it speaks of such a placement."""
        return (
            self.purpose == purpose
            and stage in self.stages
            and not set(channels).isdisjoint(self.channels)
            and (not self.agencies or agency in self.agencies)
        )


@dataclass(frozen=True)
class Policy:
    """A release policy; `sha256` is over the exact text of its file."""

    name: str
    version: str
    jurisdiction: str
    about: str
    sha256: str
    purposes: Mapping[str, Purpose]
    entries: tuple[Entry, ...]
    risk: limits.Limits = NO_LIMITS
    agencies: tuple[str, ...] = ()
    """the policy is for these alone; none: for every agency"""
    over: str = ""
    """the policy that it stands over for its agencies"""
    overlays: tuple[Policy, ...] = ()
    """those that stand over this one; in no file: put there by `under`"""
    alone: Policy | None = None
    """this one without them"""

    @classmethod
    def parse(cls, text: str) -> Policy:
        """The policy that the TOML says. Raises PolicyInvalid with the entry and field at fault."""
        return _parsed(text)

    def under(self, overlays: Iterable[Policy]) -> Policy:
        """This policy with those that stand over it; version and sha256 are of all of them.

        Raises PolicyInvalid where one is over another policy, or two are for the same agency.
        """
        placed = tuple(sorted(overlays, key=lambda policy: policy.name))
        for one in placed:
            if one.over != self.name:
                raise PolicyInvalid(f"policy {one.name} does not stand over {self.name}")
        for one, other in combinations(placed, 2):
            if both := sorted({*one.agencies} & {*other.agencies}):
                raise PolicyInvalid(
                    f"policies {one.name} and {other.name} both stand over {self.name} for {', '.join(both)}",
                    fix="withdraw one of them first, or make one policy of the two",
                )
        if not placed:
            return self
        whole = "\n".join([self.sha256, *(one.sha256 for one in placed)])
        return replace(
            self,
            overlays=placed,
            alone=self,
            version="+".join([self.version, *(f"{one.name}@{one.version}" for one in placed)]),
            sha256=hashlib.sha256(whole.encode()).hexdigest(),
        )

    @property
    def parts(self) -> list[Policy]:
        """This one alone, then those that stand over it."""
        return [self.alone or self, *self.overlays]

    def speaking(self, agency: str) -> list[tuple[Policy, Entry]]:
        """The entries that may speak of this agency, each with its policy, in the order in which they are asked."""
        asked = [
            (policy, entry)
            for policy in (*self.overlays, self.alone or self)
            for entry in policy.entries
            if not entry.agencies or agency in entry.agencies
        ]
        return sorted(asked, key=lambda one: not one[1].agencies)

    def release(self, purpose: str, stage: str, channels: Collection[str], agency: str = "") -> Release:
        """What leaves for this purpose and stage to this agency with this mandate; to one that no entry names: "".

        The release is of the policy whose entry speaks: this one, or one that stands over it for the agency; limits of
        risk are this one's, where that one states none.
        Raises NotReleased where no entry covers them: then nothing may leave.
        """
        for policy, entry in self.speaking(agency):
            if entry.covers(purpose, stage, channels, agency):
                covered = tuple(name for name in CHANNELS if name in channels and name in entry.channels)
                told = policy._released(entry, stage, covered)  # noqa: SLF001 - another one of this class
                stated = entry.risk is not None or policy.risk != NO_LIMITS
                return told if stated else replace(told, risk=self.risk)
        raise NotReleased(
            f"policy {self.name} {self.version} releases nothing{f' to {agency}' if agency else ''} for {purpose}"
            f" at stage {stage} over {', '.join(sorted(channels)) or 'no channel'}",
            fix=f"`consign policy show {self.name}` lists what it covers",
        )

    def _released(self, entry: Entry, stage: str, channels: tuple[str, ...]) -> Release:
        purpose = self.purposes[entry.purpose]
        leaves = {name: how for name, how in entry.treatments.items() if how.how != "drop"}
        dropped = {name: how.because or f"dropped by release {entry.number}" for name, how in entry.treatments.items()}
        return Release(
            policy=self.name,
            version=self.version,
            sha256=self.sha256,
            purpose=entry.purpose,
            stage=stage,
            channels=channels,
            basis=purpose.basis,
            verified=entry.verified or purpose.verified,
            legal_basis=entry.legal_basis,
            erase_after_days=purpose.erase_after_days if entry.erase_after_days is None else entry.erase_after_days,
            entry=entry.number,
            agencies=entry.agencies,
            treatments=MappingProxyType({name: leaves[name] for name in PLACEMENT_FIELDS if name in leaves}),
            held_back=MappingProxyType(
                {
                    name: dropped.get(name, f"not named in release {entry.number}")
                    for name in PLACEMENT_FIELDS
                    if name not in leaves and name not in PSEUDONYMS
                }
            ),
            risk=entry.risk or self.risk,
        )


def shipped() -> tuple[str, ...]:
    """The names of the policies that come with Consign."""
    return packaged.names("models", "policies")


@lru_cache(maxsize=64)
def _parsed(text: str) -> Policy:
    """The policy that the TOML says: a house's few policies are asked for again and again."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise PolicyInvalid(f"the policy is not TOML: {broken}", fix="correct the file") from None
    top = Table("the policy", raw)
    name = top.word("name", NAME)
    agencies = top.codes("agencies")
    purposes = {
        purpose: _purpose(purpose, Table(f"{name}, purpose {purpose}", table))
        for purpose, table in top.table("purposes").items()
    }
    entries = tuple(
        _entry(number, Table(f"{name}, release {number}", table), purposes, agencies)
        for number, table in enumerate(top.tables("release"), 1)
    )
    policy = Policy(
        name=name,
        version=top.word("version", VERSION),
        jurisdiction=top.text("jurisdiction"),
        about=top.text("about", ""),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        purposes=MappingProxyType(purposes),
        entries=entries,
        risk=limits.read(f"{name}, risk", top.take("risk", dict, {})),
        agencies=agencies,
        over=top.text("over", ""),
    )
    top.nothing_else()
    _can_be_enforced(policy)
    return policy


def load(name: str) -> Policy:
    """The shipped policy of that name. Raises UsageError with the names there are."""
    if name not in shipped():
        raise UsageError(f"there is no policy {name!r}", fix=f"there are {', '.join(shipped())}")
    policy = Policy.parse(packaged.text("models", "policies", name))
    if policy.name != name:
        raise PolicyInvalid(f"{name}.toml calls itself {policy.name!r}", fix="give file and policy one name")
    return policy


def minimise(frame: pd.DataFrame, release: Release, wanted: Iterable[str] | None = None) -> pd.DataFrame:
    """The released columns of `frame`, in the order of `release.fields`, treated; rows in their order.

    An index of whole numbers is kept, so that rows can be told; any other is replaced by one.

    frame: one row per account, columns named as `Field.column` says (amounts are `<name>_minor`); further columns are
    ignored. wanted: fields to narrow the release to; pseudonyms come anyway.
    Raises FieldNotReleased if a wanted field is withheld, ColumnsMissing if a source column is absent or there twice.
    """
    chosen = release.fields
    if wanted is not None:
        asked = set(wanted)
        if withheld := sorted(asked - {field.name for field in release.fields}):
            raise FieldNotReleased(release, withheld)
        chosen = tuple(field for field in chosen if field.name in asked or field.name in PSEUDONYMS)
    there = list(frame.columns)
    if wrong := [column for column in release.sources if there.count(column) != 1]:
        raise ColumnsMissing(
            f"the accounts to release lack, or have twice: {', '.join(wrong)}", fix="this is a fault in Consign"
        )
    frame = frame[list(release.sources)]
    if frame.index.nlevels > 1 or frame.index.dtype.kind not in "iu":  # it may hold what a column may not
        frame = frame.reset_index(drop=True)
    return pd.DataFrame(
        {field.column: treated(frame, field.name, release.treatments.get(field.name, WHOLE)) for field in chosen},
        columns=[field.column for field in chosen],
        index=frame.index,
    )


# --- reading the file -------------------------------------------------------------------------------------------------


def _purpose(name: str, table: Table) -> Purpose:
    purpose = Purpose(
        name=name,
        basis=table.text("basis"),
        verified=table.one_of("verified", VERIFIED),
        erase_after_days=table.number("erase_after_days"),
    )
    table.nothing_else()
    return purpose


def _entry(number: int, table: Table, purposes: Mapping[str, Purpose], of_policy: tuple[str, ...]) -> Entry:
    agencies = table.codes("agencies")
    if foreign := sorted({*agencies} - {*of_policy}) if of_policy else []:
        raise PolicyInvalid(f"{table.where} is for {', '.join(foreign)}, and the policy is not")
    entry = Entry(
        number=number,
        purpose=table.one_of("purpose", tuple(purposes)),
        stages=table.words("stages", STAGES),
        channels=table.words("channels", CHANNELS),
        treatments=MappingProxyType(
            {name: treatment(name, f"{table.where}, {name}", raw) for name, raw in table.table("fields").items()}
        ),
        legal_basis=table.text("legal_basis", ""),
        verified=table.one_of("verified", VERIFIED, ""),
        erase_after_days=table.number("erase_after_days", None),
        about=table.text("about", ""),
        agencies=agencies or of_policy,
        risk=limits.read(f"{table.where}, risk", table.take("risk", dict)) if "risk" in table.named else None,
    )
    table.nothing_else()
    _lawful(table.where, entry)
    return entry


def _lawful(where: str, entry: Entry) -> None:
    """What no entry may release without saying why the law lets it, and amounts that nobody could read."""
    leaves = {name: how for name, how in entry.treatments.items() if how.how != "drop"}
    bold = sorted(
        name
        for name, how in leaves.items()
        if name in {*THIRD_PARTY, JOINT} or (name in WHOLE_NEEDS_BASIS and shows_much(how))
    )
    if bold and not entry.legal_basis:
        raise PolicyInvalid(
            f"{where} releases {', '.join(bold)} without a legal basis",
            fix="mask it (six first and four last at most) or drop it, or state the entry's `legal_basis`",
        )
    exact = sorted(name for name, how in leaves.items() if PLACEMENT_FIELDS[name].type == "amount" and how == WHOLE)
    if exact and "currency" not in leaves:
        raise PolicyInvalid(f"{where} releases {', '.join(exact)} without currency")


def _can_be_enforced(policy: Policy) -> None:
    """What an author would believe to be in force is.

    An entry that earlier ones cover entirely would never be heard; what stands over another stands there for somebody.
    """
    if policy.over and (not policy.agencies or policy.over == policy.name):
        raise PolicyInvalid(
            f"{policy.name}: a policy stands over another one for some agencies",
            fix="name them in `agencies`, and the other policy in `over`",
        )
    if not policy.entries:
        raise PolicyInvalid(f"{policy.name} has no release: under it nothing could be placed")
    covered: set[tuple[str, str, str, str]] = set()
    for entry in policy.entries:
        if entry.reach <= covered:
            raise PolicyInvalid(
                f"{policy.name}, release {entry.number} never counts: earlier entries cover all of it",
                fix="the first that covers a purpose, stage, channel and agency counts: put the narrower one first",
            )
        covered |= entry.reach
