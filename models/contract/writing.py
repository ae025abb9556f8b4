"""Terms written down: what was changed in them, rows of a sheet as TOML, and how two contracts differ."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from models.contract.errors import ContractFault
from models.contract.terms import Contract, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BARE = re.compile(r"[A-Za-z0-9_-]+")
TIER_TERMS = frozenset({field.name for field in fields(Tier)} - {"steps"} | {"round"})
KEYS = ("lender", "agency", "effective_from")
"""What a row of a sheet says beside the terms: whose they are, and from when."""


def changed(text: str, changes: Mapping[str, str]) -> str:
    """The terms with these changes, as TOML that is a contract. Raises ContractFault.

    A change is `term = value`, `tier.2.term` for a term of the second tier, `clocks.term`, `payee.term`; an empty value
    takes the term out.
    """
    terms = tomllib.loads(text, parse_float=Decimal)
    for name, value in changes.items():
        table, term = _table(terms, name)
        if value == "":
            table.pop(term, None)
        else:
            table[term] = _value(value)
    told = text_of(terms)
    Contract.parse(told)
    return told


def instead(present: str, text: str, changes: Mapping[str, str]) -> str:
    """Other terms: those of the text, else the present ones, with the changes in them. Raises ContractFault."""
    return changed(text or present, changes) if changes else text


def pairs(changes: Iterable[str]) -> dict[str, str]:
    """What `term=value` says, each; the last one counts. Raises ContractFault."""
    told = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name.strip():
            raise ContractFault(f"{change!r} changes nothing", fix="write term=value, such as vat_rate=0.09")
        told[name.strip()] = value.strip()
    return told


def differences(before: Contract, after: Contract) -> list[dict[str, str | None]]:
    """Each term that is not the same, `term`, `before` and `after`, in the order of the reference; tiers by number."""
    told: list[dict[str, str | None]] = []
    for field in fields(Contract):
        if field.name != "tiers":
            told += _differing(field.name, getattr(before, field.name), getattr(after, field.name))
    most = max(len(before.tiers), len(after.tiers))
    for number in range(most):
        pair = [contract.tiers[number] if number < len(contract.tiers) else None for contract in (before, after)]
        for field in fields(Tier):
            told += _differing(f"tier {number + 1} {field.name}", *(getattr(tier, field.name, None) for tier in pair))
    return told


def from_rows(rows: Iterable[Mapping[str, str]]) -> dict[tuple[str, str, str], str]:
    """The terms of each contract in a sheet, as TOML, by lender, agency and first day (as it stands there).

    A row is a tier, or has none of a tier's columns; a column is a term, `payee.name` and the like for nested ones,
    and must say the same (or nothing) in all rows of a contract. Lists are separated by semicolons. Raises
    ContractFault, naming row and column.
    """
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for number, row in enumerate(rows, 2):  # the header is row 1
        told = {name.strip(): cell.strip() for name, cell in row.items() if name and cell and cell.strip()}
        if missing := [name for name in KEYS if name not in told]:
            raise ContractFault(f"row {number} has no {missing[0]}", fix=f"every row says {', '.join(KEYS)}")
        lender, agency, day = (told.pop(name) for name in KEYS)
        terms = found.setdefault((lender, agency, day), {})
        tier = {name: _cell(name, told.pop(name)) for name in sorted(TIER_TERMS & set(told))}
        for name, cell in told.items():
            table, term = _table(terms, name)
            value = _cell(term, cell)
            if table.setdefault(term, value) != value:
                raise ContractFault(
                    f"row {number}: {name} is not what another row of the contract says",
                    fix="a term that is not a tier's stands once, or the same in every row",
                )
        if tier:
            terms.setdefault("tier", []).append(tier)
    texts = {key: text_of(terms) for key, terms in found.items()}
    for (lender, agency, day), text in texts.items():
        try:
            Contract.parse(text)
        except ContractFault as error:
            raise ContractFault(f"{lender}, {agency}, {day}: {error}", fix=error.fix) from None
    return texts


def text_of(terms: Mapping[str, Any]) -> str:
    """The terms as TOML: plain ones first, then tables."""
    plain = [f"{_key(name)} = {_toml(value)}" for name, value in terms.items() if not _is_table(value)]
    for name, value in terms.items():
        if isinstance(value, dict):
            plain += ["", f"[{_key(name)}]", *(f"{_key(inner)} = {_toml(one)}" for inner, one in value.items())]
        elif _is_table(value):
            for row in value:
                plain += ["", f"[[{_key(name)}]]", *(f"{_key(inner)} = {_toml(one)}" for inner, one in row.items())]
    return "\n".join(plain) + "\n"


def _table(terms: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """The table that the term stands in, and its own name there."""
    parts = name.split(".")
    if parts[0] == "tier" and len(parts) == len(("tier", "2", "rate")):
        tiers = terms.setdefault("tier", [])
        if not parts[1].isdecimal() or not 1 <= int(parts[1]) <= len(tiers) + 1:
            raise ContractFault(f"{name}: there is no such tier", fix=f"tiers are 1 to {len(tiers)}")
        if int(parts[1]) == len(tiers) + 1:
            tiers.append({})
        return tiers[int(parts[1]) - 1], parts[2]
    if parts[0] in {"clocks", "payee"} and len(parts) == len(("payee", "name")):
        return terms.setdefault(parts[0], {}), parts[1]
    if len(parts) > 1 or parts[0] in {"tier", "clocks", "payee"}:
        raise ContractFault(f"{name}: no term", fix="write vat_rate, tier.1.rate, payee.name …")
    return terms, name


def _value(text: str) -> Any:
    """A value as TOML writes it; what is no TOML is a text."""
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        return text


def _cell(name: str, text: str) -> Any:
    """A cell of a sheet as the term wants it."""
    if name in {"payer_accounts", "bank_references"}:
        return [part.strip() for part in text.split(";") if part.strip()]
    if name.endswith("rate"):
        return text
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    wants_number = name.endswith(("_minor", "_days", "_from", "_to")) or name == "round"
    if wants_number and re.fullmatch(r"[0-9]+(\.0+)?", text):
        return int(text.split(".", maxsplit=1)[0])
    return text


def _differing(name: str, before: object, after: object) -> list[dict[str, str | None]]:
    was, will = _shown(before), _shown(after)
    return [] if was == will else [{"term": name, "before": was, "after": will}]


def _shown(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value) or None
    return str(value)


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _quoted(name)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            return f'"{value}"'  # rates are read from texts as well, and no digit is lost
        case str():
            return _quoted(value)
        case list():
            return "[" + ", ".join(_toml(one) for one in value) + "]"
        case dict():
            return "{ " + ", ".join(f"{_key(name)} = {_toml(one)}" for name, one in value.items()) + " }"
        case _:
            raise ContractFault("a term is neither text, number, list nor table")


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(_letter(letter) for letter in escaped) + '"'


def _letter(letter: str) -> str:
    return letter if letter.isprintable() else f"\\u{ord(letter):04X}"
