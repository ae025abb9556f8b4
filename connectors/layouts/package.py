"""A package: a ZIP with `datapackage.json` (Frictionless Data Package) and one CSV per table (docs/reference/files.md).

Written as a stream, so that memory is bounded by one frame; read with every claim of the manifest checked before a
line is believed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from isal import isal_zlib

from connectors.layouts.archive import content, members
from connectors.layouts.delimited import FileRefused, Read, read_delimited
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import BinaryIO

    import numpy as np

    from connectors.layouts.archive import Member
    from models.kinds import Field

MANIFEST = "datapackage.json"
MAX_MANIFEST = 1 << 20
MAX_TABLE = 4 << 30
DEFLATE_LEVEL = 2
"""Intel's ISA-L takes a sixth of zlib's time at its level 1, and makes the file smaller."""
_STEP = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # no clock in the bytes: the same rows make the same package

_FRICTIONLESS = {"amount": "number", "rate": "number", "yearmonth": "yearmonth"}


PackageRefused = FileRefused
"""A package is a file, and is refused like one."""


@dataclass(frozen=True)
class Written:
    """What was written."""

    rows: int
    control_minor: Mapping[str, int]
    """sum of the control amount per currency"""
    sha256: str


@dataclass
class PackageWriter:
    """Writes one package of one table; `with` it, `write` frames, read `written` afterwards."""

    path: Path
    name: str
    table: str
    fields: Sequence[Field]
    manifest: Mapping[str, Any]
    control: str | None = None
    written: Written | None = None
    _rows: int = 0
    _sums: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Open the ZIP and its table."""
        self._zip = zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED, allowZip64=True)
        info = zipfile.ZipInfo(f"{self.table}.csv", _EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED
        member = self._zip.open(info, "w", force_zip64=True)
        # zipfile has no door for another deflate; where it drops this attribute, zlib's goes on, only slower
        member._compressor = isal_zlib.compressobj(DEFLATE_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)  # type: ignore[attr-defined] # noqa: SLF001
        self._csv = _Hashing(member)
        header = ",".join(field.name for field in self.fields) + "\n"
        self._csv.write(header.encode())
        return self

    def write(self, frame: pd.DataFrame) -> None:
        """Add a frame that has every field's column (`Field.column`)."""
        if frame.empty:
            return
        arrow = pa.table([text_of(one, frame) for one in self.fields], names=[one.name for one in self.fields])
        pacsv.write_csv(arrow, self._csv, pacsv.WriteOptions(include_header=False, quoting_style="needed"))
        self._rows += len(frame)
        if self.control:
            column = next(one.column for one in self.fields if one.name == self.control)
            for currency, total in frame.groupby("currency")[column].sum().items():
                self._sums[str(currency)] = self._sums.get(str(currency), 0) + int(total)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the table and the manifest; after an error nothing is left behind."""
        self._csv.close()
        if kind is None:
            manifest = json.dumps(self._manifest(), ensure_ascii=False, indent=1, sort_keys=True).encode()
            info = zipfile.ZipInfo(MANIFEST, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            self._zip.writestr(info, manifest)
        self._zip.close()
        if kind is not None:
            self.path.unlink(missing_ok=True)
            return
        with self.path.open("rb") as done:
            digest = hashlib.file_digest(done, "sha256").hexdigest()
        self.written = Written(self._rows, dict(self._sums), digest)

    def _manifest(self) -> dict[str, Any]:
        return {
            "profile": "tabular-data-package",
            "name": self.name,
            "consign": {
                **self.manifest,
                "rows": self._rows,
                "control": {
                    "field": self.control,
                    "sums": {currency: decimal_text(total, currency) for currency, total in sorted(self._sums.items())},
                },
            },
            "resources": [
                {
                    "profile": "tabular-data-resource",
                    "name": self.table,
                    "path": f"{self.table}.csv",
                    "format": "csv",
                    "mediatype": "text/csv",
                    "encoding": "utf-8",
                    "bytes": self._csv.size,
                    "hash": f"sha256:{self._csv.digest.hexdigest()}",
                    "dialect": {"delimiter": ",", "quoteChar": '"', "doubleQuote": True, "lineTerminator": "\n"},
                    "schema": {"fields": [schema_of(one) for one in self.fields], "missingValues": [""]},
                }
            ],
        }


def schema_of(one: Field) -> dict[str, Any]:
    """The Frictionless Table Schema of a column."""
    kind = _FRICTIONLESS.get(one.type, one.type)
    constraints: dict[str, Any] = {}
    if one.required:
        constraints["required"] = True
    if one.one_of:
        constraints["enum"] = list(one.one_of)
    if one.unique:
        constraints["unique"] = True
    schema: dict[str, Any] = {"name": one.name, "type": kind}
    if one.type == "datetime":
        schema["format"] = "any"
    if one.about:
        schema["description"] = one.about
    if constraints:
        schema["constraints"] = constraints
    return schema


def decimal_text(minor: int, currency: str) -> str:
    """Minor units as decimal text with the currency's digits."""
    digits = exponent(currency)
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{whole // 10**digits}.{whole % 10**digits:0{digits}d}" if digits else f"{sign}{whole}"


def decimal_minor(text: str, currency: str) -> int | None:
    """The other way; None where the text is not an amount of that currency."""
    digits = exponent(currency)
    tail = rf"(?:\.([0-9]{{1,{digits}}}))?" if digits else ""
    found = re.fullmatch(rf"(-?)([0-9]{{1,18}}){tail}", text)
    if not found:
        return None
    fraction = (found[3] or "").ljust(digits, "0") if digits else ""
    return int(f"{found[1]}{found[2]}{fraction}")


@dataclass(frozen=True)
class Package:
    """A package that keeps its word: its manifest, and its table as text (header still to be checked)."""

    manifest: Mapping[str, Any]
    """the `consign` part"""
    table_name: str
    read: Read
    sha256: str

    @property
    def header(self) -> list[str]:
        """The names of the columns, as they stand in the file."""
        return self.read.header

    @property
    def table(self) -> pa.Table:
        """The lines that could be read."""
        return self.read.table

    @property
    def lines(self) -> np.ndarray:
        """Per row of the table, which line after the header it is."""
        return self.read.records

    @property
    def unread(self) -> pd.DataFrame:
        """The other lines: `line` (1 is the first after the header), `column`, `code`."""
        return self.read.unread

    @property
    def rows(self) -> int:
        """How many lines the file holds, readable or not."""
        return self.read.count


def read_package(path: Path, *, max_bytes: int = MAX_TABLE) -> Package:
    """The package at `path`, every claim of its manifest checked. Raises FileRefused with the code.

    The table goes into columns while it is inflated; besides them, memory for a few blocks is held. The control sum is
    checked by the caller once amounts are typed (`control_holds`).
    """
    with path.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
        inside = {member.name: member for member in members(source, at_most=2)}
        if MANIFEST not in inside or len(inside) != 2:  # noqa: PLR2004 - the manifest and one table
            raise FileRefused("not_a_package")
        raw = content(source, inside.pop(MANIFEST), max_bytes=min(MAX_MANIFEST, max_bytes)).readall()
        consign, resource = _described(raw)
        (table,) = inside.values()
        if resource["path"] != table.name:
            raise FileRefused("manifest")
        read = _table(source, table, resource, max_bytes)
    where = str(resource["name"])
    if type(consign.get("rows")) is not int or consign["rows"] != read.count:
        raise FileRefused("rows", where)
    if _columns_of(resource) not in {None, tuple(read.header)}:
        raise FileRefused("manifest", where)
    return Package(consign, where, read, digest)


def _table(source: BinaryIO, member: Member, resource: Mapping[str, Any], max_bytes: int) -> Read:
    """The table, which is the one that the manifest speaks of. Raises FileRefused."""
    stream = _Hashed(content(source, member, max_bytes=max_bytes))
    if resource.get("bytes", member.size) != member.size:
        raise FileRefused("hash", str(resource["name"]))
    refused, read = None, None
    try:
        read = read_delimited(stream, max_bytes=max_bytes)
    except FileRefused as error:
        refused = error
    # whatever is wrong with it, it is to be the file that was meant
    if resource.get("hash") != f"sha256:{stream.whole()}":
        raise FileRefused("hash", str(resource["name"]))
    if read is None:
        raise refused or FileRefused("malformed_csv")
    return read


def read_csv(raw: bytes) -> tuple[list[str], pa.Table]:
    """Header and rows, all text, nothing guessed. A byte order mark is let pass. Raises FileRefused."""
    read = read_delimited(raw, max_bytes=MAX_TABLE)
    if len(read.rejects):
        raise FileRefused(str(read.rejects["code"].iloc[0]))
    return read.header, read.table


def control_holds(manifest: Mapping[str, Any], sums: Mapping[str, int]) -> bool:
    """True where the manifest's control sums are `sums` (minor units), currency by currency."""
    control = manifest.get("control")
    stated = control.get("sums") if isinstance(control, dict) else None
    if not isinstance(stated, dict):
        return False
    exact = {str(currency): decimal_minor(str(text), str(currency)) for currency, text in stated.items()}
    return {k: v for k, v in exact.items() if v != 0} == {k: v for k, v in sums.items() if v != 0}


_CLAIMS: Mapping[str, type] = {"kind": str, "lender": str, "agency": str, "sequence": int}


def _described(raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `consign` part of a manifest and its one resource. Raises FileRefused where they are not sound."""
    try:
        described = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_never)
        (resource,) = described["resources"]
        consign = described["consign"]
        json.dumps([consign, resource], ensure_ascii=False).encode()  # half a surrogate can be written nowhere
        sound = (
            isinstance(consign, dict)
            and isinstance(resource["name"], str)
            and resource["path"] == f"{resource['name']}.csv"
            and all(type(consign[name]) is kind for name, kind in _CLAIMS.items() if name in consign)
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        raise FileRefused("manifest") from None
    if not sound:
        raise FileRefused("manifest")
    return consign, resource


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; one that says a thing twice says nothing."""
    said = dict(pairs)
    if len(said) < len(pairs):
        raise ValueError("said twice")
    return said


def _never(constant: str) -> float:
    raise ValueError(constant)  # NaN and Infinity are no JSON


def _columns_of(resource: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The columns that the manifest's schema names; None where it has none."""
    schema = resource.get("schema")
    if schema is None:
        return None
    fields = schema.get("fields") if isinstance(schema, dict) else None
    return (
        tuple(one.get("name") if isinstance(one, dict) else None for one in fields) if isinstance(fields, list) else ()
    )


class _Hashed(io.RawIOBase):
    """A stream that is hashed while it is read."""

    def __init__(self, inner: io.RawIOBase) -> None:
        super().__init__()
        self._inner, self._digest = inner, hashlib.sha256()

    def readable(self) -> bool:
        """It is read, from front to back."""
        return True

    def read(self, size: int = -1) -> bytes:
        """As the stream beneath reads."""
        block = self._inner.read(size) or b""
        self._digest.update(block)
        return block

    def whole(self) -> str:
        """The SHA-256 of all of it; what was not read yet is."""
        while self.read(_STEP):
            pass
        return self._digest.hexdigest()


def text_of(one: Field, frame: pd.DataFrame) -> pa.Array:
    """A column as it stands in the file, or in a type that is written so: numbers and days need no quotes."""
    cells = frame[one.column]
    if one.type == "amount" and pd.api.types.is_integer_dtype(cells.dtype):
        return _amount_text(cells, frame["currency"])
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        if one.type in {"date", "string"}:
            return pa.array(cells, from_pandas=True).cast(pa.date32(), safe=False)
        seconds = pa.array(cells, type=pa.timestamp("s"), from_pandas=True, safe=False)
        return pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%SZ")
    array = pa.array(cells, from_pandas=True)
    as_it_is = pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_integer(array.type)
    return array if as_it_is else array.cast(pa.string())


def _amount_text(cells: pd.Series, currency: pd.Series) -> pa.Array:
    minor = pa.array(cells, type=pa.int64(), from_pandas=True).cast(pa.decimal128(38, 0))
    codes = currency.unique()
    if len(codes) == 1:
        return minor.view(pa.decimal128(38, exponent(str(codes[0]))))
    text = pa.nulls(len(cells), pa.string())
    for code in codes:
        here = pa.array((currency == code).to_numpy())
        text = pc.if_else(here, minor.view(pa.decimal128(38, exponent(str(code)))).cast(pa.string()), text)
    return text


class _Hashing(io.RawIOBase):
    """A file that hashes and counts what is written through it."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner
        self.digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        """Arrow asks before it writes."""
        return True

    def write(self, block: Any) -> int:
        """Hash, count, pass on."""
        view = memoryview(block)
        self.digest.update(view)
        self._inner.write(view)
        self.size += view.nbytes
        return view.nbytes

    def close(self) -> None:
        """Close the member beneath."""
        if not self.closed:
            self._inner.close()
        super().close()
