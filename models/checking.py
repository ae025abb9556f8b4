"""What the gateway says of a file's lines: typed and good, or refused with line, column, code and fix.

A rule has one implementation, over columns. The codes are one table (`CODES`), from which `consign file explain` and
the agency guide are made. A refusal never repeats the value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from models.errors import ConsignError
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from models.kinds import Field, Kind

REJECT_COLUMNS = ("line", "column", "code", "fix")
MAX_TEXT = 2_000
MAX_REFUSALS = 1_000_000
"""Cells refused in one file: each is a row of ours and a line of the receipt, and costs far more than to send it."""
COLUMN_NAME = re.compile(r"[a-z][a-z_]{0,38}[a-z]")
"""What is called a column by its name; any other is called by its place, for it may be no name at all."""

CODES: Mapping[str, str] = MappingProxyType(
    {
        "missing_column": "The file lacks this column. Add it to the header, spelled as the schema has it.",
        "unknown_column": "The schema has no such column. Remove it: nothing unasked-for is stored.",
        "repeated_column": "The header names this column twice. Keep one.",
        "missing": "A value is required here.",
        "not_integer": "Write a whole number, digits only.",
        "not_amount": "Write the amount with a point and at most the currency's digits: 1234.50, no marks, no symbol.",
        "not_rate": "Write the rate as a decimal fraction: 0.18 for 18 %.",
        "not_date": "Write the date as YYYY-MM-DD, a day that exists.",
        "not_datetime": "Write the instant as YYYY-MM-DDTHH:MM:SS with its offset, like 2026-03-01T09:30:00+08:00.",
        "not_yearmonth": "Write the month as YYYY-MM.",
        "not_currency": "Write the currency as its three-letter ISO 4217 code.",
        "not_one_of": "Use one of the values that the schema lists for this column.",
        "too_long": f"Keep the text under {MAX_TEXT} characters.",
        "control_character": "Take the control characters out of this value.",
        "bidi_override": "Take out the characters that turn the direction of writing: a reader sees another text.",
        "spreadsheet_number": "A spreadsheet made a number of it, and digits are lost. Send the column as text.",
        "repeated": "This account already has a line in the file. Send one line per account.",
        "unknown_account": "No account of ours has this pseudonym with you. Copy it from the placement file unchanged.",
        "not_placed": "This account is not placed with you. Check it against the placement and recall files.",
        "not_recalled": "We have not asked for this account to be erased. Check the erasure requests you received.",
        "wrong_currency": "The account is in another currency. Send the amount in the account's currency.",
        "no_recall": "We have not recalled this account, or its recall is confirmed. There is nothing to object to.",
        "plan_known": "You proposed a plan of this name before. Give a changed plan a name of its own.",
        "plan_broken": "Another line of this plan was refused. Send the plan again, whole, under the same name.",
        "plan_disordered": "Number the instalments of a plan from 1 without gaps, each due after the one before.",
        "not_above_zero": "The amount of an instalment must be above zero.",
        "out_of_order": "The last day lies before the first.",
        "no_correction": "We have told you no correction of this field of this account that waits for your answer.",
        "unknown_file": "We sent you no file of this name. Copy the name as it stands on the server.",
        "other_key": "We hold another key than this. Somebody may sit between us: stop, and telephone.",
        "net_does_not_add_up": "Net must equal gross less commission less VAT.",
        "sign": "A recovery is above zero, a reversal below.",
        "future": "The date lies after the day the file came.",
        # a line that cannot be read
        "ragged_line": "The line has more or fewer cells than the header. Put a cell with a comma in quotation marks.",
        "bad_quote": (
            "A quotation mark is left open, or stands inside a cell. Put the cell in quotation marks and double those "
            "that are part of its text."
        ),
        "nul": "The line holds a NUL byte. Write the file anew; it may have been damaged, or be UTF-16.",
        "line_too_long": "The line is longer than 1 MiB. Split it, or close the quotation mark that is open before it.",
        "record_length": "The record has another length than the layout says. Count bytes of the encoding, if it does.",
        "cut_character": "A character is cut in two where the value ends. Shorten the text; fill it up with blanks.",
        "spreadsheet_error": "The cell holds an error or a truth value. Write the value itself.",
        # the envelope: these refuse the whole file
        "bad_name": "Name the file {lender}.{agency}.{kind}.{yyyymmdd}.{sequence:06d}.zip plus the suite's suffix.",
        "wrong_agency": "The file's name or manifest names another agency.",
        "wrong_kind": "Agencies do not send this kind of file.",
        "unknown_lender": "No lender of ours has this code.",
        "bad_signature": "The signature does not fit the file. Sign exactly the bytes that you send.",
        "wrong_signer": "Signed by a key that we do not hold for you. Register it first, fingerprints compared.",
        "not_for_us": "Not encrypted to our current key. Fetch our public key and encrypt to it.",
        "truncated": "The file ends too early. Send it again, whole.",
        "tampered": "The file was changed after it was sealed. Send it again.",
        "key_expired": "The key has expired. Exchange new keys.",
        "key_revoked": "The key was revoked. Exchange new keys.",
        "unknown_key": "We hold no key for you of this suite. Exchange keys first.",
        "not_a_package": "Inside the seal there must be a ZIP with datapackage.json and the one table that it lists.",
        "manifest": "datapackage.json lacks something, or says what the file does not hold.",
        "hash": "A table's SHA-256 differs from the manifest's.",
        "rows": "A table's row count differs from the manifest's.",
        "control_sum": "The control sum differs from the sum of the lines.",
        "sequence_repeat": "A file with this number was already accepted. Number each file once, without gaps.",
        "replayed": "The same package was already accepted under another name or seal.",
        "encoding": "The text is not in the encoding of the contract (UTF-8, where none is agreed). Write it in that.",
        "malformed_csv": "The table has no header that can be read, or too many lines that cannot. Write RFC 4180 CSV.",
        "wrong_format": "This is not the kind of file that was agreed. Save an old or protected .xls as a plain .xlsx.",
        "missing_sheet": "The workbook lacks the sheet that was agreed. Name it so.",
        "header_record": "The header record is missing, or does not say what the file's name says.",
        "trailer_record": "The trailer record is missing, or does not say what the file's name says.",
        "too_large": "The file is larger than the contract allows. Split it.",
        "too_many_refused": "Over a million of its cells would be refused. Mend what is wrong with all of them first.",
        "not_as_declared": "The file is not the one that its .done declares. Send the file again, and its .done last.",
        "not_a_file": "This is a link, a folder or a device. Take it away, and send a file.",
    }
)
"""Every code a receipt can carry, and the fix it states."""


class TooManyRefused(ConsignError):
    """So many cells are wrong that it is the file that is wrong."""

    exit_code = 3
    code = "too_many_refused"


@dataclass(frozen=True)
class Checked:
    """Lines that passed, typed (`line` in front, amounts as `<name>_minor`), and the refusals of those that did not."""

    good: pd.DataFrame
    rejects: pd.DataFrame
    sums: Mapping[str, int] | None = None
    """the control amount per currency over every line, good or not; None where some amount could not be read"""

    @property
    def refused(self) -> int:
        """How many lines were refused (a line may have several refusals)."""
        return int(self.rejects["line"].nunique())


_NO_REJECTS = pd.DataFrame({
    "line": pd.Series(dtype="int64"), "column": pd.Series(dtype="str"),
    "code": pd.Series(dtype="str"), "fix": pd.Series(dtype="str"),
})  # fmt: skip


def no_rejects() -> pd.DataFrame:
    """An empty table of refusals."""
    return _NO_REJECTS.copy()


def rejects_at(lines: np.ndarray, column: str, code: str) -> pd.DataFrame:
    """One refusal per line given, all for the same reason."""
    count = len(lines)
    if not count:
        return no_rejects()
    said = {"column": column, "code": code, "fix": CODES[code]}
    texts = {name: pd.array([text] * count, dtype="str") for name, text in said.items()}
    return pd.DataFrame({"line": np.asarray(lines, dtype=np.int64), **texts})


def header_rejects(kind: Kind, header: list[str]) -> pd.DataFrame:
    """Refusals of the header itself (line 0); order does not matter, names do."""
    known = {field.name for field in kind.fields}
    found = [
        *(("missing_column", f.name) for f in kind.fields if f.required and f.name not in header),
        *(("unknown_column", _nameable(name, place)) for place, name in enumerate(header, 1) if name not in known),
        *(("repeated_column", name) for name in sorted({n for n in header if header.count(n) > 1} & known)),
    ]
    if not found:
        return no_rejects()
    return pd.concat([rejects_at(np.zeros(1), name, code) for code, name in found], ignore_index=True)


def check(
    kind: Kind,
    table: pa.Table,
    latest: date | None = None,
    *,
    lines: np.ndarray | None = None,
    unread: pd.DataFrame | None = None,
) -> Checked:
    """The table's lines, all text as they came, typed by the kind's schema or refused.

    table: one text column per field present (header already checked). Empty text is no value. latest: the last day that
    a line may speak of; None where any will do. lines: which line each row is; from 1 where not given, and that is the
    first after the header. unread: `line`, `column` and `code` of the lines that never became rows; with any of them
    no sum is known. Raises TooManyRefused.
    """
    lines = np.arange(1, table.num_rows + 1, dtype=np.int64) if lines is None else lines
    texts = {name: _text(table[name]) for name in table.column_names}
    currencies = texts.get("currency")
    frame: dict[str, pd.Series] = {"line": pd.Series(lines)}
    refusals: list[pd.DataFrame] = [] if unread is None else _unread(unread)
    whole, told = not refusals, 0
    for field in kind.fields:
        cells = texts.get(field.name)
        if cells is None:
            cells = pa.nulls(table.num_rows, pa.string())
        values, code_at = _typed(field, cells, currencies)
        for code, bad in code_at:
            hit = bad.to_numpy(zero_copy_only=False).astype(bool)
            told += int(hit.sum())
            if told > MAX_REFUSALS:
                raise TooManyRefused(f"more than {MAX_REFUSALS} cells would be refused", fix=CODES[TooManyRefused.code])
            if hit.any():
                refusals.append(rejects_at(lines[hit], field.name, code))
        frame[field.column] = values
    typed = pd.DataFrame(frame)
    refusals += _repeated(kind, typed, lines)
    refusals += _kind_rules(kind, typed, lines)
    if latest is not None:
        refusals += _future(kind, typed, lines, latest)
    rejects = pd.concat(refusals, ignore_index=True) if refusals else no_rejects()
    if kind.name == "plan":
        # a line that could not be read may have been any plan's
        broken = rest_of_plans(typed, rejects) if whole else rejects_at(lines, "plan_ref", "plan_broken")
        rejects = pd.concat([rejects, broken], ignore_index=True)
    rejects = rejects.sort_values(["line", "column", "code"], kind="stable", ignore_index=True)
    good = typed[~typed["line"].isin(rejects["line"])].reset_index(drop=True)
    return Checked(good, rejects, _sums(kind, typed) if whole else None)


def _repeated(kind: Kind, typed: pd.DataFrame, lines: np.ndarray) -> list[pd.DataFrame]:
    """Values that may stand in a file once, and stand there again."""
    found = []
    for field in kind.fields:
        if field.unique:
            again = typed[field.column].duplicated(keep="first").to_numpy() & typed[field.column].notna().to_numpy()
            if again.any():
                found.append(rejects_at(lines[again], field.name, "repeated"))
    return found


def _unread(unread: pd.DataFrame) -> list[pd.DataFrame]:
    """Refusals of the lines that could not be read, fixes and all."""
    told = unread[["line", "column", "code"]]
    return [told.assign(fix=told["code"].map(dict(CODES)).astype("str"))] if len(told) else []


def rest_of_plans(lines: pd.DataFrame, rejects: pd.DataFrame) -> pd.DataFrame:
    """Refusals of the lines that were good, in instalment plans of which another line was refused.

    lines: at least line and plan_ref, typed.
    """
    bad = lines["line"].isin(rejects["line"])
    broken = lines["plan_ref"].isin(lines.loc[bad, "plan_ref"].dropna())
    return rejects_at(lines.loc[broken & ~bad, "line"].to_numpy(), "plan_ref", "plan_broken")


def _sums(kind: Kind, typed: pd.DataFrame) -> Mapping[str, int] | None:
    if kind.control is None:
        return {}
    amounts, currencies = typed[kind.field(kind.control).column], typed["currency"]
    if amounts.isna().any() or currencies.isna().any():
        return None
    return {str(currency): int(total) for currency, total in amounts.groupby(currencies).sum().items()}


def _kind_rules(kind: Kind, typed: pd.DataFrame, lines: np.ndarray) -> list[pd.DataFrame]:
    """Rules that look at more than one column."""
    return _KIND_RULES[kind.name](typed, lines) if kind.name in _KIND_RULES else []


def _remittance_rules(typed: pd.DataFrame, lines: np.ndarray) -> list[pd.DataFrame]:
    gross, net = typed["gross_minor"], typed["net_minor"]
    wrong_sign = ((typed["type"] == "recovery") & (gross <= 0)) | ((typed["type"] == "reversal") & (gross >= 0))
    found = []
    hit = wrong_sign.fillna(value=False).to_numpy(dtype=bool)
    if hit.any():
        found.append(rejects_at(lines[hit], "gross", "sign"))
    held_back = typed["commission_minor"].fillna(0) + typed["vat_minor"].fillna(0)
    off = (net != gross - held_back).fillna(value=False).to_numpy(dtype=bool)
    if off.any():
        found.append(rejects_at(lines[off], "net", "net_does_not_add_up"))
    return found


def _plan_rules(typed: pd.DataFrame, lines: np.ndarray) -> list[pd.DataFrame]:
    """A plan is one agreement: its instalments count from 1, rise in time, and stand or fall together."""
    amount = typed["amount_minor"]
    found = [rejects_at(lines[(amount <= 0).fillna(value=False).to_numpy(dtype=bool)], "amount", "not_above_zero")]
    whole = typed[["plan_ref", "account", "instalment", "due_on"]].notna().all(axis=1)
    ordered = typed[whole].sort_values(["plan_ref", "instalment"], kind="stable")
    of_plan = ordered.groupby("plan_ref", sort=False)
    due = ordered["due_on"]
    wrong = (
        (ordered["instalment"] != of_plan.cumcount() + 1)
        | (due <= due.groupby(ordered["plan_ref"], sort=False).shift())
        | (ordered["account"] != of_plan["account"].transform("first"))
        | (ordered["currency"].fillna("") != of_plan["currency"].transform("first").fillna(""))
    ).fillna(value=False)
    found.append(rejects_at(ordered.loc[wrong, "line"].to_numpy(), "instalment", "plan_disordered"))
    return found


def _hold_rules(typed: pd.DataFrame, lines: np.ndarray) -> list[pd.DataFrame]:
    hit = (typed["until"] < typed["since"]).to_numpy(dtype=bool)
    return [rejects_at(lines[hit], "until", "out_of_order")]


_KIND_RULES: Mapping[str, Callable[[pd.DataFrame, np.ndarray], list[pd.DataFrame]]] = {
    "remittance": _remittance_rules,
    "plan": _plan_rules,
    "hold_request": _hold_rules,
}


def _future(kind: Kind, typed: pd.DataFrame, lines: np.ndarray, latest: date) -> list[pd.DataFrame]:
    """Days after the last that can be; a certificate's own date is judged with the certificate."""
    found = []
    for field in kind.fields:
        if field.may_be_future:
            continue
        if field.type == "date":
            days = typed[field.column]
        elif field.type == "datetime" and field.name != "erased_at":
            days = pd.to_datetime(typed[field.column].str.slice(0, 10), format="%Y-%m-%d", errors="coerce")
        else:
            continue
        hit = (days > pd.Timestamp(latest)).to_numpy()
        if hit.any():
            found.append(rejects_at(lines[hit], field.name, "future"))
    return found


def _text(cells: pa.ChunkedArray) -> pa.Array:
    """One flat text array, empty text as null."""
    flat = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks) if flat.num_chunks else pa.array([], pa.string())
    flat = flat.cast(pa.string())
    return pc.if_else(pc.equal(flat, ""), pa.scalar(None, pa.string()), flat)


_CONTROL_BEYOND_ASCII = r"[\x{80}-\x{9f}\x{2028}\x{2029}]"
_BIDI = r"[\x{202a}-\x{202e}\x{2066}-\x{2069}]"


def _typed(field: Field, cells: pa.Array, currencies: pa.Array | None) -> tuple[pd.Series, list[tuple[str, pa.Array]]]:
    """The column typed, with what is wrong where."""
    empty = cells.is_null()
    wrong: list[tuple[str, pa.Array]] = []
    if field.required:
        wrong.append(("missing", empty))
    values, bad = _READERS[field.type](cells, currencies)
    code = _FAILS[field.type]
    if code is not None:
        wrong.append((code, pc.and_not(bad, empty)))
    if field.type == "string":
        wrong.append(("too_long", _true(pc.greater(pc.utf8_length(cells), MAX_TEXT))))
        wrong.append(("control_character", _true(pc.match_substring_regex(cells, r"[\x00-\x1f\x7f]"))))
        if not pc.all(pc.string_is_ascii(cells)).as_py():
            wrong.append(("control_character", _true(pc.match_substring_regex(cells, _CONTROL_BEYOND_ASCII))))
            wrong.append(("bidi_override", _true(pc.match_substring_regex(cells, _BIDI))))
        if field.name in {"account", "agency_txn_id", "original_txn_id"}:
            wrong.append(("spreadsheet_number", _true(pc.match_substring_regex(cells, r"^[0-9.]+[Ee]\+?[0-9]+$"))))
        if field.name == "currency":
            wrong.append(
                ("not_currency", pc.and_not(pc.invert(_true(pc.match_substring_regex(cells, "^[A-Z]{3}$"))), empty))
            )
        if field.one_of:
            known = pc.is_in(cells, value_set=pa.array(field.one_of))
            wrong.append(("not_one_of", pc.and_not(pc.invert(known), empty)))
    return values, wrong


def _true(found: pa.Array) -> pa.Array:
    return pc.fill_null(found, False)  # noqa: FBT003 - Arrow's own signature


def _matches(cells: pa.Array, pattern: str) -> pa.Array:
    return _true(pc.match_substring_regex(cells, pattern))


def _keep(cells: pa.Array, ok: pa.Array) -> pa.Array:
    return pc.if_else(ok, cells, pa.scalar(None, pa.string()))


def _strings(cells: pa.Array, _: pa.Array | None) -> tuple[pd.Series, pa.Array]:
    return cells.to_pandas().astype("str"), _true(pc.equal(cells, cells)).cast(pa.bool_())


def _integers(cells: pa.Array, _: pa.Array | None) -> tuple[pd.Series, pa.Array]:
    ok = _matches(cells, r"^-?[0-9]{1,18}$")
    return _int_series(_keep(cells, ok).cast(pa.int64())), pc.invert(ok)


def _amounts(cells: pa.Array, currencies: pa.Array | None) -> tuple[pd.Series, pa.Array]:
    """Minor units by each line's own currency."""
    if currencies is None:
        currencies = pa.array(["XXX"] * len(cells))
    result = pa.nulls(len(cells), pa.int64())
    ok = pa.array(np.zeros(len(cells), dtype=bool))
    # by digits, not by currency: a file may make up as many currencies as it has lines
    coded = pc.fill_null(currencies, "XXX").dictionary_encode()
    known = np.array([exponent(currency) for currency in coded.dictionary.to_pylist()], dtype=np.int64)
    digits_of = known[coded.indices.to_numpy(zero_copy_only=False)] if len(cells) else known
    for digits in np.unique(digits_of).tolist():
        here = pa.array(digits_of == digits)
        tail = rf"(\.[0-9]{{1,{digits}}})?" if digits else ""
        fits = pc.and_(here, _matches(cells, rf"^-?[0-9]{{1,15}}{tail}$"))
        exact = _keep(cells, fits).cast(pa.decimal128(38, digits)).view(pa.decimal128(38, 0)).cast(pa.int64())
        result = pc.if_else(fits, exact, result)
        ok = pc.or_(ok, fits)
    return _int_series(result), pc.invert(ok)


def _int_series(values: pa.Array) -> pd.Series:
    return pd.Series(values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get))


def _rates(cells: pa.Array, _: pa.Array | None) -> tuple[pd.Series, pa.Array]:
    ok = _matches(cells, r"^[01](\.[0-9]{1,6})?$")
    return pd.Series(_keep(cells, ok).cast(pa.decimal128(9, 6)).to_pandas(), dtype="object"), pc.invert(ok)


def _dates(cells: pa.Array, _: pa.Array | None) -> tuple[pd.Series, pa.Array]:
    shaped = _keep(cells, _matches(cells, r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}$"))
    days = pd.to_datetime(shaped.to_pandas().astype("object"), format="%Y-%m-%d", errors="coerce").astype(
        "datetime64[us]"
    )
    return days, pa.array(days.isna().to_numpy())


def _instants(cells: pa.Array, _: pa.Array | None) -> tuple[pd.Series, pa.Array]:
    """Text kept (the offset is evidence), checked to be an instant."""
    shaped = _keep(
        cells,
        _matches(
            cells,
            r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][01][0-9]:[0-5][0-9])$",
        ),
    )
    at = pd.to_datetime(shaped.to_pandas().astype("object"), format="ISO8601", errors="coerce", utc=True)
    bad = pa.array(at.isna().to_numpy())
    return _keep(cells, pc.invert(bad)).to_pandas().astype("str"), bad


def _months(cells: pa.Array, _: pa.Array | None) -> tuple[pd.Series, pa.Array]:
    ok = _matches(cells, r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])$")
    return _keep(cells, ok).to_pandas().astype("str"), pc.invert(ok)


_READERS: Mapping[str, Callable[[pa.Array, pa.Array | None], tuple[pd.Series, pa.Array]]] = {
    "string": _strings,
    "integer": _integers,
    "amount": _amounts,
    "rate": _rates,
    "date": _dates,
    "datetime": _instants,
    "yearmonth": _months,
}
_FAILS: Mapping[str, str | None] = {
    "string": None,
    "integer": "not_integer",
    "amount": "not_amount",
    "rate": "not_rate",
    "date": "not_date",
    "datetime": "not_datetime",
    "yearmonth": "not_yearmonth",
}


def _nameable(name: str, place: int) -> str:
    """A column's name as it may be stored and shown: a file without a header has a debtor's values in its place."""
    return name if COLUMN_NAME.fullmatch(name) else f"#{place}"
