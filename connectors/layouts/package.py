"""A package: a ZIP with `datapackage.json` (Frictionless Data Package) and one CSV per table (docs/reference/files.md).

Written as a stream, so that memory is bounded by one frame; read with every claim of the manifest checked before a
line is believed.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from isal import isal_zlib

from connectors.errors import ConnectorError
from models.checking import CODES
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from models.kinds import Field

MANIFEST = "datapackage.json"
MAX_MANIFEST = 1 << 20
MAX_TABLE = 4 << 30
MAX_RATIO = 200
"""a CSV of ours deflates 4 to 20 times; far beyond that it is a bomb"""
DEFLATE_LEVEL = 2
"""Intel's ISA-L takes a sixth of zlib's time at its level 1, and makes the file smaller."""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # no clock in the bytes: the same rows make the same package

_DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, RuntimeError, ValueError)
"""What zipfile raises for an archive that is none, or no longer one."""

_FRICTIONLESS = {"amount": "number", "rate": "number", "yearmonth": "yearmonth"}


class PackageRefused(ConnectorError):
    """A package that cannot be believed; `code` is one of models.checking.CODES."""

    exit_code = 3

    def __init__(self, code: str, where: str = "") -> None:
        super().__init__(f"{code}{f' in {where}' if where else ''}", fix=CODES[code])
        self.code = code


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
        arrow = pa.table([_to_text(one, frame) for one in self.fields], names=[one.name for one in self.fields])
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
    table: pa.Table
    header: list[str]
    sha256: str


def read_package(path: Path, *, max_bytes: int = MAX_TABLE) -> Package:
    """The package at `path`, every claim of its manifest checked. Raises PackageRefused with the code.

    The control sum is checked by the caller once amounts are typed (`control_holds`).
    """
    with path.open("rb") as whole:
        digest = hashlib.file_digest(whole, "sha256").hexdigest()
    try:
        with zipfile.ZipFile(path) as archive:
            described, resource = _manifest_of(archive, max_bytes)
            raw = _member(archive, resource["path"], max_bytes)
    except _DAMAGED as error:
        if isinstance(error, PackageRefused):
            raise
        raise PackageRefused("not_a_package") from None
    except OSError as error:
        # zipfile seeks to where the archive says, be it before the file's start
        if error.errno != errno.EINVAL:
            raise
        raise PackageRefused("not_a_package") from None
    if resource.get("hash", "") != f"sha256:{hashlib.sha256(raw).hexdigest()}":
        raise PackageRefused("hash", str(resource["name"]))
    header, table = read_csv(raw)
    consign = described["consign"]
    if consign.get("rows") != table.num_rows:
        raise PackageRefused("rows", str(resource["name"]))
    return Package(consign, str(resource["name"]), table, header, digest)


def read_csv(raw: bytes) -> tuple[list[str], pa.Table]:
    """Header and rows, all text, nothing guessed. A byte order mark is let pass. Raises PackageRefused."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    first = raw.split(b"\n", 1)[0].rstrip(b"\r")
    try:
        header = next(iter(_csv_header(first.decode("utf-8"))), [])
    except UnicodeDecodeError:
        raise PackageRefused("encoding") from None
    if not header:
        raise PackageRefused("malformed_csv")
    # a repeated name must reach the header check, so columns are read by position
    names = [f"c{index}" for index in range(len(header))]
    try:
        table = pacsv.read_csv(
            io.BytesIO(raw),
            pacsv.ReadOptions(column_names=names, skip_rows=1, encoding="utf8"),
            pacsv.ParseOptions(newlines_in_values=True),
            pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            raise PackageRefused("encoding") from None
        if "Empty CSV" in str(error):
            return header, pa.table({name: pa.array([], pa.string()) for name in names}).rename_columns(header)
        raise PackageRefused("malformed_csv") from None
    return header, table.rename_columns(header)


def control_holds(manifest: Mapping[str, Any], sums: Mapping[str, int]) -> bool:
    """True where the manifest's control sums are `sums` (minor units), currency by currency."""
    control = manifest.get("control")
    stated = control.get("sums") if isinstance(control, dict) else None
    if not isinstance(stated, dict):
        return False
    exact = {str(currency): decimal_minor(str(text), str(currency)) for currency, text in stated.items()}
    return {k: v for k, v in exact.items() if v != 0} == {k: v for k, v in sums.items() if v != 0}


def _csv_header(line: str) -> list[list[str]]:
    import csv  # noqa: PLC0415 - one header line only

    return list(csv.reader([line]))


def _manifest_of(archive: zipfile.ZipFile, max_bytes: int) -> tuple[dict[str, Any], dict[str, Any]]:
    names = [info.filename for info in archive.infolist()]
    if len(names) != len(set(names)) or MANIFEST not in names or len(names) > 2:  # noqa: PLR2004 - manifest and one table
        raise PackageRefused("not_a_package")
    try:
        described = json.loads(_member(archive, MANIFEST, min(MAX_MANIFEST, max_bytes)))
        (resource,) = described["resources"]
        consign = described["consign"]
        if not (isinstance(consign, dict) and isinstance(resource["name"], str)):
            raise PackageRefused("manifest")
        if resource["path"] != f"{resource['name']}.csv" or {resource["path"], MANIFEST} != set(names):
            raise PackageRefused("manifest")
    except (KeyError, TypeError, ValueError, UnicodeDecodeError, RecursionError) as error:
        if isinstance(error, PackageRefused):
            raise
        raise PackageRefused("manifest") from None
    return described, resource


def _member(archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise PackageRefused("not_a_package")
    if info.file_size > max_bytes:
        raise PackageRefused("too_large")
    if info.file_size > MAX_RATIO * max(info.compress_size, 1024):
        raise PackageRefused("too_large")
    with archive.open(info) as member:
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise PackageRefused("truncated")
    return content


def _to_text(one: Field, frame: pd.DataFrame) -> pa.Array:
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
