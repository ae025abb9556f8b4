"""What may leave to an agency: deny by default, field by field, by purpose, stage and channel.

A policy is a TOML file (docs/reference/policies.md). It lists *entries*: for one purpose, at some stages, over some
channels, the fields that leave and how. A field that an entry does not name stays. The first entry of the file that
covers the purpose, the stage and any channel of the agency's mandate is the one that counts.

Pseudonyms (`account`, `debtor`) are not a policy's to give: every placement has them, under the agency's own key.

Three promises, whatever the policy and whatever the frame:

1. `minimise` returns the columns of the release and no other; each is made from the field of its own name alone
   (a band of an amount reads the currency beside it).
2. A masked, banded, coarsened or shortened value never leaves whole.
3. Whole ID or card numbers, and anything about third parties, need a legal basis written in the entry that releases
   them; without it the policy does not load.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import pairwise, product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models import packaged
from models.errors import ConfigurationError, ConsignError, RefusedByPolicy, UsageError
from models.kinds import PLACEMENT_FIELDS, Field
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

STAGES: Final = ("reminder", "phone", "field", "legal")
CHANNELS: Final = ("phone", "sms", "field", "online", "letter", "legal")
PSEUDONYMS: Final = ("account", "debtor")
IDENTITY: Final = (
    "name", "id_number", "phone", "phone_alt", "email", "address", "employer", "contact_name", "contact_phone",
)  # fmt: skip
"""The fields that lie sealed in the vault; all others are facts in clear columns."""
DATES: Final = frozenset({"as_of", "placed_on", "due_back_on", "opened_on", "due_on", "last_paid_on"})
THIRD_PARTY: Final = frozenset({"contact_name", "contact_phone"})
WHOLE_NEEDS_BASIS: Final = frozenset({"id_number", "card_number"})
VERIFIED: Final = ("text", "secondary", "unverified")
"""How the clause behind a basis was read: the text, a secondary account, or not at all (confirm with counsel)."""
STARS: Final[Mapping[str, str]] = MappingProxyType({"name": "**", "contact_name": "**"})
"""What stands for the hidden part; as long for every value, so that it does not tell the length."""
SHOWN_AT_MOST: Final = (2, 3)
"""A mask shows two thirds of a value at most (138****1234 shows 7 of 11); a shorter value is hidden entirely."""

VALUE_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(PLACEMENT_FIELDS, "fact"),
        **dict.fromkeys(PSEUDONYMS, "pseudonym"),
        **dict.fromkeys(("balance", "original", "principal", "interest", "fees", "last_paid_on"), "financial"),
        **dict.fromkeys(("phone", "phone_alt", "email", "address"), "contact"),
        **dict.fromkeys(("name", "employer"), "identity"),
        "id_number": "identifier",
        **dict.fromkeys(sorted(THIRD_PARTY), "third_party"),
    }
)
"""What kind of value each field holds, for the disclosure register."""


class PolicyInvalid(ConfigurationError):
    """The policy file does not say what may leave in a way that can be enforced, or says more than the law lets it."""


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
class Treatment:
    """How one field leaves: `release` whole, `mask`, `band`, `month`, `year`, `coarsen`; or `drop`: it does not."""

    how: str
    first: int = 0
    last: int = 0
    edges: tuple[Decimal, ...] = ()
    labels: tuple[str, ...] = ()
    to: str = ""
    because: str = ""

    @property
    def words(self) -> str:
        """It in words, for a preview: `mask: first 1, last 4`."""
        match self.how:
            case "mask":
                shown = [f"{name} {count}" for name, count in (("first", self.first), ("last", self.last)) if count]
                return f"mask: {', '.join(shown) or 'all hidden'}"
            case "band":
                return f"band: {len(self.labels)} bands"
            case "coarsen":
                return f"coarsen: {self.to}"
            case _:
                return self.how

    def leaving(self, field: Field) -> Field:
        """The field as it leaves: a band, a month and a year are strings, whatever they were."""
        if self.how in {"band", "month", "year"}:
            return replace(field, type="string", about=f"{field.about} ({self.words})".strip())
        if field.name in DATES:
            return replace(field, type="date")
        return field


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
    treatments: Mapping[str, Treatment]
    """of every field that leaves, in the order of `PLACEMENT_FIELDS`; pseudonyms are not among them"""
    held_back: Mapping[str, str]
    """of every other field: the rule that holds it back"""

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
        banded = any(_is_banded_amount(name, how) for name, how in self.treatments.items())
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

    @property
    def reach(self) -> frozenset[tuple[str, str, str]]:
        """Every purpose, stage and channel that it covers."""
        return frozenset(product((self.purpose,), self.stages, self.channels))


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

    @classmethod
    def parse(cls, text: str) -> Policy:
        """The policy that the TOML says. Raises PolicyInvalid with the entry and field at fault."""
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as broken:
            raise PolicyInvalid(f"the policy is not TOML: {broken}", fix="correct the file") from None
        top = _Table("the policy", raw)
        name = top.text("name")
        purposes = {
            purpose: _purpose(purpose, _Table(f"{name}: purpose {purpose}", table))
            for purpose, table in top.table("purposes").items()
        }
        entries = tuple(
            _entry(number, _Table(f"{name}: release {number}", table), purposes)
            for number, table in enumerate(top.tables("release"), 1)
        )
        policy = cls(
            name=name,
            version=top.text("version"),
            jurisdiction=top.text("jurisdiction"),
            about=top.text("about", ""),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            purposes=MappingProxyType(purposes),
            entries=entries,
        )
        top.nothing_else()
        _every_entry_can_speak(policy)
        return policy

    def release(self, purpose: str, stage: str, channels: Collection[str]) -> Release:
        """What leaves for this purpose and stage to an agency with this mandate.

        Raises NotReleased where no entry covers them: then nothing may leave.
        """
        for entry in self.entries:
            covered = tuple(name for name in CHANNELS if name in channels and name in entry.channels)
            if entry.purpose == purpose and stage in entry.stages and covered:
                return self._released(entry, stage, covered)
        raise NotReleased(
            f"policy {self.name} {self.version} releases nothing for {purpose} at stage {stage}"
            f" over {', '.join(sorted(channels)) or 'no channel'}",
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
            treatments=MappingProxyType({name: leaves[name] for name in PLACEMENT_FIELDS if name in leaves}),
            held_back=MappingProxyType(
                {
                    name: dropped.get(name, f"not named in release {entry.number}")
                    for name in PLACEMENT_FIELDS
                    if name not in leaves and name not in PSEUDONYMS
                }
            ),
        )


def shipped() -> tuple[str, ...]:
    """The names of the policies that come with Consign."""
    return packaged.names("models", "policies")


def load(name: str) -> Policy:
    """The shipped policy of that name. Raises UsageError with the names there are."""
    if name not in shipped():
        raise UsageError(f"there is no policy {name!r}", fix=f"there are {', '.join(shipped())}")
    policy = Policy.parse(packaged.text("models", "policies", name))
    if policy.name != name:
        raise PolicyInvalid(f"{name}.toml calls itself {policy.name!r}", fix="give file and policy one name")
    return policy


def minimise(frame: pd.DataFrame, release: Release, wanted: Iterable[str] | None = None) -> pd.DataFrame:
    """The released columns of `frame`, in the order of `release.fields`, treated; the index is kept.

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
    return pd.DataFrame(
        {field.column: _treated(frame, field.name, release.treatments.get(field.name, WHOLE)) for field in chosen},
        columns=[field.column for field in chosen],
        index=frame.index,
    )


def differences(before: Policy, after: Policy) -> pd.DataFrame:
    """What the second policy lets out differently: one row per purpose, stage, channel and field.

    Columns purpose, stage, channel, field, before, after; treatments in words, `-` where the field stays.
    """
    rows = [
        (purpose, stage, channel, field, old.get(field, "-"), new.get(field, "-"))
        for purpose, stage, channel in product(dict.fromkeys([*before.purposes, *after.purposes]), STAGES, CHANNELS)
        for old, new in [(_words(before, purpose, stage, channel), _words(after, purpose, stage, channel))]
        for field in PLACEMENT_FIELDS
        if old.get(field, "-") != new.get(field, "-")
    ]
    return pd.DataFrame(rows, columns=["purpose", "stage", "channel", "field", "before", "after"])


def _words(policy: Policy, purpose: str, stage: str, channel: str) -> dict[str, str]:
    try:
        treatments = policy.release(purpose, stage, [channel]).treatments
    except NotReleased:
        return {}
    # bands of other edges are another treatment, though they may be as many
    return {
        name: f"{how.words} ({' | '.join(how.labels)})" if how.labels else how.words for name, how in treatments.items()
    }


# --- treatments over columns ------------------------------------------------------------------------------------------

WHOLE: Final = Treatment("release")


def _treated(frame: pd.DataFrame, name: str, treatment: Treatment) -> pd.Series:
    column = frame[PLACEMENT_FIELDS[name].column]
    if _is_banded_amount(name, treatment):
        return _banded_amount(column, frame["currency"], treatment)
    return _TREATED[treatment.how](column, name, treatment)


def _is_banded_amount(name: str, treatment: Treatment) -> bool:
    return treatment.how == "band" and PLACEMENT_FIELDS[name].type == "amount"


def _arrow(column: pd.Series) -> pa.LargeStringArray:
    found = pa.array(column.astype("str"), from_pandas=True)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return found.cast(pa.large_string())


def _text(values: pa.Array, index: pd.Index) -> pd.Series:
    return pd.Series(pd.array(values, dtype="str"), index=index)


def _masked(column: pd.Series, treatment: Treatment, stars: str) -> pd.Series:
    """First and last letters with stars between; a value too short to hide a third of is all stars."""
    whole = _arrow(column)
    most, of = SHOWN_AT_MOST
    shown = treatment.first + treatment.last
    hidden = pa.scalar(stars, pa.large_string())
    nothing = pa.scalar("", pa.large_string())
    head = pc.utf8_slice_codeunits(whole, 0, treatment.first) if treatment.first else nothing
    tail = pc.utf8_slice_codeunits(whole, -treatment.last) if treatment.last else nothing
    parts = pc.binary_join_element_wise(head, hidden, tail, nothing)
    short = pc.greater(pa.scalar(shown * of, pa.int64()), pc.multiply(pc.utf8_length(whole).cast(pa.int64()), most))
    masked = pc.if_else(short, hidden, parts)
    return _text(pc.if_else(pc.is_null(whole), pa.scalar(None, pa.large_string()), masked), column.index)


def _banded(column: pd.Series, edges: Sequence[Decimal | int], labels: Sequence[str]) -> pd.Series:
    """The label of the band that each whole number falls in; a band holds its lower edge."""
    numbers = column.astype("Int64")
    missing = numbers.isna().to_numpy()
    codes = np.searchsorted(
        np.array([int(edge) for edge in edges], dtype=np.int64), numbers.fillna(0).to_numpy(dtype=np.int64), "right"
    )
    taken = pa.array(labels, pa.large_string()).take(pa.array(codes, mask=missing))
    return _text(taken, column.index)


def _banded_amount(column: pd.Series, currency: pd.Series, treatment: Treatment) -> pd.Series:
    """Edges are in whole units of the account's own currency; an amount without a currency has no band."""
    labels = pd.Series(pd.NA, index=range(len(column)), dtype="str")
    amounts, currencies = column.reset_index(drop=True), currency.reset_index(drop=True)
    for code in currencies.dropna().unique():
        mine = (currencies == code).to_numpy(dtype=bool, na_value=False)
        edges = [int(edge.scaleb(exponent(str(code)))) for edge in treatment.edges]
        labels[mine] = _banded(amounts[mine], edges, treatment.labels)
    return labels.set_axis(column.index)


def _calendar(column: pd.Series, unit: str) -> pd.Series:
    """`YYYY-MM` or `YYYY` of dates."""
    days = pd.to_datetime(column).to_numpy().astype(f"datetime64[{unit}]")
    codes, distinct = pd.factorize(days)
    names = pa.array(np.datetime_as_string(distinct.astype(f"datetime64[{unit}]")).tolist(), pa.large_string())
    return _text(names.take(pa.array(codes, mask=codes < 0)), column.index)


REGION_DIGITS: Final[Mapping[str, int]] = MappingProxyType({"city": 4, "province": 2})


def _coarsened(column: pd.Series, to: str) -> pd.Series:
    """Division codes (GB/T 2260, six digits) of the city or province; two-letter states stay; the rest is missing."""
    whole = _arrow(column)
    keep = REGION_DIGITS[to]
    digits = pc.match_substring_regex(whole, r"^[0-9]{6}$")
    state = pc.match_substring_regex(whole, r"^[A-Z]{2}$")
    prefix = pc.utf8_slice_codeunits(whole, 0, keep)
    zeros = pa.scalar("0" * (6 - keep), pa.large_string())
    code = pc.binary_join_element_wise(prefix, zeros, pa.scalar("", pa.large_string()))
    nothing = pa.scalar(None, pa.large_string())
    return _text(pc.if_else(digits, code, pc.if_else(state, whole, nothing)), column.index)


_TREATED: Final[Mapping[str, Callable[[pd.Series, str, Treatment], pd.Series]]] = MappingProxyType(
    {
        "release": lambda column, _name, _how: column,
        "mask": lambda column, name, how: _masked(column, how, STARS.get(name, "****")),
        "band": lambda column, _name, how: _banded(column, how.edges, how.labels),
        "month": lambda column, _name, _how: _calendar(column, "M"),
        "year": lambda column, _name, _how: _calendar(column, "Y"),
        "coarsen": lambda column, _name, how: _coarsened(column, how.to),
    }
)


# --- reading the file -------------------------------------------------------------------------------------------------


class _Table:
    """A table of the file whose every key must be asked for: a word that nobody asks for is a mistake."""

    def __init__(self, where: str, raw: object) -> None:
        if not isinstance(raw, dict):
            raise PolicyInvalid(f"{where} is not a table")
        self.where = where
        self.raw: dict[str, Any] = dict(raw)

    def take(self, key: str, kind: type, default: object = ...) -> Any:
        value = self.raw.pop(key, default)
        if value is ...:
            raise PolicyInvalid(f"{self.where}: {key} is missing")
        if value is not default and (not isinstance(value, kind) or isinstance(value, bool)):
            raise PolicyInvalid(f"{self.where}: {key} is of the wrong type")
        return value

    def text(self, key: str, default: object = ...) -> str:
        value = str(self.take(key, str, default)).strip()
        if default is ... and not value:
            raise PolicyInvalid(f"{self.where}: {key} is empty")
        return value

    def number(self, key: str, default: object = ...) -> int:
        value: int = self.take(key, int, default)
        if value is not default and value < 0:
            raise PolicyInvalid(f"{self.where}: {key} is negative")
        return value

    def words(self, key: str, allowed: Sequence[str]) -> tuple[str, ...]:
        values = self.take(key, list)
        if not values or len(set(map(str, values))) < len(values) or (wrong := [v for v in values if v not in allowed]):
            detail = f" not {', '.join(map(repr, wrong))}" if values and wrong else ""
            raise PolicyInvalid(f"{self.where}: {key} must name some of {', '.join(allowed)}, each once{detail}")
        return tuple(values)

    def table(self, key: str) -> dict[str, Any]:
        return dict(self.take(key, dict))

    def tables(self, key: str) -> list[Any]:
        return list(self.take(key, list))

    def one_of(self, key: str, allowed: Sequence[str], default: object = ...) -> str:
        value = self.text(key, default)
        if value not in allowed and value != default:
            raise PolicyInvalid(f"{self.where}: {key} must be one of {', '.join(allowed)}")
        return value

    def nothing_else(self) -> None:
        if self.raw:
            raise PolicyInvalid(f"{self.where}: unknown {', '.join(sorted(map(repr, self.raw)))}")


def _purpose(name: str, table: _Table) -> Purpose:
    purpose = Purpose(
        name=name,
        basis=table.text("basis"),
        verified=table.one_of("verified", VERIFIED),
        erase_after_days=table.number("erase_after_days"),
    )
    table.nothing_else()
    return purpose


def _entry(number: int, table: _Table, purposes: Mapping[str, Purpose]) -> Entry:
    entry = Entry(
        number=number,
        purpose=table.one_of("purpose", tuple(purposes)),
        stages=table.words("stages", STAGES),
        channels=table.words("channels", CHANNELS),
        treatments=MappingProxyType(
            {name: _treatment(name, f"{table.where}, {name}", raw) for name, raw in table.table("fields").items()}
        ),
        legal_basis=table.text("legal_basis", ""),
        verified=table.one_of("verified", VERIFIED, ""),
        erase_after_days=table.number("erase_after_days", None),
        about=table.text("about", ""),
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
        if name in THIRD_PARTY or (name in WHOLE_NEEDS_BASIS and how.how == "release")
    )
    if bold and not entry.legal_basis:
        raise PolicyInvalid(
            f"{where} releases {', '.join(bold)} without a legal basis",
            fix="mask or drop the field, or state the entry's `legal_basis`",
        )
    exact = sorted(name for name, how in leaves.items() if PLACEMENT_FIELDS[name].type == "amount" and how == WHOLE)
    if exact and "currency" not in leaves:
        raise PolicyInvalid(f"{where} releases {', '.join(exact)} without currency")


def _every_entry_can_speak(policy: Policy) -> None:
    """An entry that earlier ones cover entirely would never be heard, and its author would not know."""
    covered: set[tuple[str, str, str]] = set()
    for entry in policy.entries:
        if entry.reach <= covered:
            raise PolicyInvalid(
                f"{policy.name}: release {entry.number} never counts: earlier entries cover all of it",
                fix="the first entry that covers a purpose, stage and channel counts: put the narrower one first",
            )
        covered |= entry.reach


def _treatment(name: str, where: str, raw: object) -> Treatment:
    if name in PSEUDONYMS:
        raise PolicyInvalid(f"{where}: pseudonyms always leave; a policy does not name them")
    if name not in PLACEMENT_FIELDS:
        raise PolicyInvalid(f"{where}: a placement has no such field", fix="docs/reference/policies.md lists them")
    table = _Table(where, {"how": raw} if isinstance(raw, str) else raw)
    how = table.one_of("how", _possible(name))
    reader: Callable[[str, _Table], Treatment] = _READERS.get(how, lambda _, __: Treatment(how))
    treatment = replace(reader(name, table), because=table.text("because", ""))
    table.nothing_else()
    return treatment


def _possible(name: str) -> tuple[str, ...]:
    """The treatments that make sense for the field, so that none passes a value through unchanged by accident."""
    if name in IDENTITY:
        return ("release", "mask", "drop")
    if name in DATES:
        return ("release", "month", "year", "drop")
    if name == "region":
        return ("release", "coarsen", "drop")
    if PLACEMENT_FIELDS[name].type in {"amount", "integer"}:
        return ("release", "band", "drop")
    return ("release", "drop")


def _read_mask(_name: str, table: _Table) -> Treatment:
    return Treatment("mask", first=table.number("first", 0), last=table.number("last", 0))


def _read_coarsen(_name: str, table: _Table) -> Treatment:
    return Treatment("coarsen", to=table.one_of("to", tuple(REGION_DIGITS)))


def _read_band(name: str, table: _Table) -> Treatment:
    given = table.take("edges", list)
    try:
        edges = tuple(Decimal(str(edge)) for edge in given)
    except InvalidOperation:
        raise PolicyInvalid(f"{table.where}: an edge is not a number") from None
    whole = [edge.is_finite() and edge == edge.to_integral_value() and abs(edge) < 10**12 for edge in edges]
    # a band of one whole number would be the number
    least = 1 if PLACEMENT_FIELDS[name].type == "amount" else 2
    if not edges or not all(whole) or any(high - low < least for low, high in pairwise(edges)):
        raise PolicyInvalid(f"{table.where}: edges must be whole {_unit(name)}, rising by {least} at least")
    labels = tuple(map(str, table.take("labels", list, _labels(edges))))
    if len(labels) != len(edges) + 1 or len(set(labels)) < len(labels):
        raise PolicyInvalid(f"{table.where}: {len(edges)} edges need {len(edges) + 1} different labels")
    return Treatment("band", edges=edges, labels=labels)


def _unit(name: str) -> str:
    return "units of the currency" if PLACEMENT_FIELDS[name].type == "amount" else "numbers"


def _labels(edges: Sequence[Decimal]) -> list[str]:
    names = [f"{edge:f}" for edge in edges]
    between = [f"{low} to under {high}" for low, high in pairwise(names)]
    return [f"under {names[0]}", *between, f"{names[-1]} and over"]


_READERS: Final[Mapping[str, Callable[[str, _Table], Treatment]]] = MappingProxyType(
    {
        "mask": _read_mask,
        "band": _read_band,
        "coarsen": _read_coarsen,
    }
)
