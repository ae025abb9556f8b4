"""An archive that two readers could see differently is refused, and a bomb does not go off."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from connectors.layouts.archive import MAX_DIRECTORY, content, members
from connectors.layouts.delimited import FileRefused
from connectors.layouts.package import MANIFEST, read_package

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
TABLE = b"account,status\nG1,booked\nG2,booked\n"


def manifest(table: bytes = TABLE, rows: object = 2, **claims: Any) -> bytes:
    digest = f"sha256:{hashlib.sha256(table).hexdigest()}"
    resource = {"name": "accounts", "path": "accounts.csv", "hash": digest, **claims}
    return json.dumps({"consign": {"kind": "acknowledgement", "rows": rows}, "resources": [resource]}).encode()


@dataclass(frozen=True)
class Part:
    """A member as it stands in the archive: what its header says, and what the directory says of it."""

    name: bytes
    packed: bytes
    header: dict[str, Any] = field(default_factory=dict)
    entry: dict[str, Any] = field(default_factory=dict)
    after: bytes = b""

    @staticmethod
    def of(name: str, raw: bytes, **both: Any) -> Part:
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = packer.compress(raw) + packer.flush()
        said = {"method": 8, "crc": zlib.crc32(raw), "packed": len(packed), "size": len(raw), "flags": 0, **both}
        return Part(name.encode(), packed, dict(said), dict(said))


def built(*parts: Part, before: bytes = b"", between: bytes = b"", comment: bytes = b"", **end: Any) -> bytes:
    """An archive of the parts, byte by byte; `end`: what its last record says."""
    body, directory = bytearray(before), bytearray()
    for part in parts:
        said = part.header
        name = said.get("name", part.name)
        offset = part.entry.get("offset", len(body))
        body += struct.pack(
            "<4s5H3L2H", said.get("mark", b"PK\x03\x04"), 20, said["flags"], said["method"], 0, 33, said["crc"],
            said["packed"], said["size"], len(name), len(said.get("extra", b"")),
        ) + name + said.get("extra", b"") + part.packed + part.after + between  # fmt: skip
        said = part.entry
        name = said.get("name", part.name)
        directory += struct.pack(
            "<4s2B5H3L5H2L", said.get("mark", b"PK\x01\x02"), 20, 3, 20, said["flags"], said["method"], 0, 33,
            said["crc"], said["packed"], said["size"], len(name), len(said.get("extra", b"")),
            len(said.get("comment", b"")), said.get("disk", 0), 0, said.get("attributes", 0o100600 << 16), offset,
        ) + name + said.get("extra", b"") + said.get("comment", b"")  # fmt: skip
    count = end.get("count", len(parts))
    return bytes(body) + bytes(directory) + struct.pack(
        "<4s4H2LH", b"PK\x05\x06", end.get("disk", 0), 0, end.get("here", count), count,
        end.get("length", len(directory)), end.get("offset", len(body)), len(comment),
    ) + comment  # fmt: skip


def honest() -> tuple[Part, Part]:
    return Part.of(MANIFEST, manifest()), Part.of("accounts.csv", TABLE)


def saying(part: Part, **said: Any) -> Part:
    """The part with header and directory saying otherwise, alike."""
    return replace(part, header=part.header | said, entry=part.entry | said)


def code_of(raw: bytes, tmp_path: Path) -> str:
    path = tmp_path / "package.zip"
    path.write_bytes(raw)
    with pytest.raises(FileRefused) as refused:
        read_package(path)
    return refused.value.code


def first(change: Callable[[Part], Part]) -> bytes:
    one, other = honest()
    return built(change(one), other)


def second(change: Callable[[Part], Part]) -> bytes:
    one, other = honest()
    return built(one, change(other))


def test_an_archive_built_by_the_book_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(built(*honest()))
    assert read_package(tmp_path / "p.zip").table.num_rows == 2


def test_archives_of_other_programs_are_read(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(manifest())
    (tmp_path / "accounts.csv").write_bytes(TABLE)
    with zipfile.ZipFile(tmp_path / "python.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.write(tmp_path / MANIFEST, MANIFEST)
        archive.write(tmp_path / "accounts.csv", "accounts.csv")

    class Pipe(io.RawIOBase):
        """Nobody can go back in it, so sizes come after the members."""

        def __init__(self) -> None:
            super().__init__()
            self.came = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, block: Any) -> int:
            self.came += block
            return len(block)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, manifest())
        archive.writestr("accounts.csv", TABLE)
    (tmp_path / "piped.zip").write_bytes(pipe.came)
    programs = ["python.zip", "piped.zip"]
    if shutil.which("zip"):
        subprocess.run(["zip", "-q", "zip.zip", MANIFEST, "accounts.csv"], cwd=tmp_path, check=True)
        piped = subprocess.run(
            ["zip", "-q", "-fd", "-", MANIFEST, "accounts.csv"], cwd=tmp_path, check=True, stdout=subprocess.PIPE
        )
        (tmp_path / "fd.zip").write_bytes(piped.stdout)
        programs += ["zip.zip", "fd.zip"]
    for name in programs:
        assert read_package(tmp_path / name).table.num_rows == 2, name


LINK = (stat.S_IFLNK | 0o777) << 16
SPLIT = {
    "bytes before it": lambda: built(*honest(), before=b"MZ"),
    "bytes after it": lambda: built(*honest()) + b"x",
    "another archive after it": lambda: built(*honest()) * 2,
    "a comment": lambda: built(*honest(), comment=b"hello"),
    "bytes between members": lambda: built(*honest(), between=b"x"),
    "a hidden member": lambda: built(*honest(), between=built(Part.of("x", b"x"))[:40]),
    "more members than told": lambda: built(*honest(), Part.of("x", b"x"), count=2),
    "fewer members than told": lambda: built(*honest(), count=3),
    "members on another disk": lambda: built(*honest(), disk=1),
    "part of them here": lambda: built(*honest(), here=1),
    "a directory elsewhere": lambda: built(*honest(), offset=0),
    "a longer directory": lambda: built(*honest(), length=400),
    "one member": lambda: built(honest()[0]),
    "three members": lambda: built(*honest(), Part.of("notes.txt", b"x")),
    "two of one name": lambda: built(*honest(), honest()[1]),
    "both of one name": lambda: built(honest()[0], honest()[0]),
    "a link": lambda: second(lambda part: saying(part, attributes=LINK)),
    "a device": lambda: second(lambda part: saying(part, attributes=(stat.S_IFCHR | 0o600) << 16)),
    "a folder": lambda: second(lambda part: saying(part, attributes=0x10)),
    "a password": lambda: second(lambda part: saying(part, flags=1)),
    "a masked directory": lambda: second(lambda part: saying(part, flags=0x2000)),
    "another method": lambda: second(lambda part: saying(part, method=12)),
    "a comment of a member": lambda: second(lambda part: replace(part, entry=part.entry | {"comment": b"x"})),
    "another name in the header": lambda: second(
        lambda part: replace(part, header=part.header | {"name": b"other.csv"})
    ),
    "another method in the header": lambda: second(lambda part: replace(part, header=part.header | {"method": 0})),
    "another size in the header": lambda: second(lambda part: replace(part, header=part.header | {"size": 1})),
    "another packed size in the header": lambda: first(lambda part: replace(part, header=part.header | {"packed": 1})),
    "another checksum in the header": lambda: second(lambda part: replace(part, header=part.header | {"crc": 1})),
    "no header": lambda: second(lambda part: replace(part, header=part.header | {"mark": b"PK\x01\x02"})),
    "no entry": lambda: second(lambda part: replace(part, entry=part.entry | {"mark": b"PK\x03\x04"})),
    "a wrong checksum": lambda: second(lambda part: saying(part, crc=part.entry["crc"] ^ 1)),
    "a name that is no text": lambda: second(lambda part: replace(part, name=b"\xff.csv")),
    "sizes of ZIP64 alone": lambda: second(lambda part: saying(part, size=0xFFFFFFFF)),
    "packed sizes of ZIP64 alone": lambda: second(lambda part: saying(part, packed=0xFFFFFFFF)),
    "sizes that follow, and lie": lambda: second(
        lambda part: replace(saying(part, flags=8), after=b"PK\x07\x08" + struct.pack("<3L", 1, 2, 3))
    ),
    "bytes after the deflated ones": lambda: second(
        lambda part: replace(saying(part, packed=part.entry["packed"] + 9), packed=part.packed + b"PK\x03\x04hello")
    ),
    "no deflated bytes": lambda: second(lambda part: replace(part, packed=b"\xff" * len(part.packed))),
    "a ZIP64 end": lambda: second(
        lambda part: replace(part, entry=part.entry | {"extra": struct.pack("<4sLQL", b"PK\x06\x07", 0, 9, 1)})
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", SPLIT)
def test_what_two_readers_could_see_differently_is_no_package(how: str, tmp_path: Path) -> None:
    assert code_of(SPLIT[how](), tmp_path) == "not_a_package"


@pytest.mark.parametrize(
    "name",
    ["../accounts.csv", "/etc/passwd", "C:\\accounts.csv", "a\\accounts.csv", "./accounts.csv", "accounts.csv\0.exe",
     "ACCOUNTS.csv", "accounts.csv ", "a/accounts.csv", "con.csv", ""],
)  # fmt: skip
def test_a_table_of_another_name_is_not_the_one_described_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    one, other = honest()
    (tmp_path / "within").mkdir()
    assert code_of(built(one, replace(other, name=name.encode())), tmp_path / "within") == "manifest"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["package.zip"]


def test_members_that_share_their_bytes_are_no_package(tmp_path: Path) -> None:
    one, other = honest()
    kernel = Part.of("k", b"0" * (1 << 20))
    shared = [replace(kernel, name=b"%d" % number, entry=kernel.entry | {"offset": 0}) for number in range(2)]
    assert code_of(built(*shared), tmp_path) == "not_a_package"
    quoting = replace(other, entry=other.entry | {"offset": 0})
    assert code_of(built(one, quoting), tmp_path) == "not_a_package"


@pytest.mark.parametrize(("said", "code"), [(1 << 20, "truncated"), (10, "not_a_package"), (0, "not_a_package")])
def test_a_size_that_lies_is_found_out(said: int, code: str, tmp_path: Path) -> None:
    assert code_of(second(lambda part: saying(part, size=said, packed=part.entry["packed"])), tmp_path) in {
        code,
        "too_large",
    }


def test_a_bomb_is_refused_for_what_it_says_or_where_it_lies(tmp_path: Path) -> None:
    bomb = Part.of("accounts.csv", b"0" * (32 << 20))
    assert code_of(built(honest()[0], bomb), tmp_path) == "too_large"
    assert code_of(built(honest()[0], saying(bomb, size=1_000)), tmp_path) == "not_a_package"
    in_the_manifest = Part.of(MANIFEST, b" " * (32 << 20))
    assert code_of(built(in_the_manifest, honest()[1]), tmp_path) == "too_large"


def test_an_archive_inside_an_archive_is_a_table_and_no_good_one(tmp_path: Path) -> None:
    inner = built(*honest())
    assert code_of(built(Part.of(MANIFEST, manifest(inner)), Part.of("accounts.csv", inner)), tmp_path) in {
        "encoding",
        "malformed_csv",
    }


def test_a_directory_of_a_million_names_is_not_read(tmp_path: Path) -> None:
    name = Part.of("x", b"")
    raw = built(*[name] * 2_000)
    assert len(raw) > MAX_DIRECTORY
    assert code_of(raw, tmp_path) == "not_a_package"
    assert code_of(built(*[name] * 2_000, count=2), tmp_path) == "not_a_package"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"rows": 2.0}, "rows"),
        ({"rows": True}, "rows"),
        ({"rows": 1e999}, "manifest"),
        ({"rows": float("nan")}, "manifest"),
        ({"rows": 10**400}, "rows"),
        ({"rows": -2}, "rows"),
        ({"sequence": True}, "manifest"),
        ({"sequence": "1"}, "manifest"),
        ({"kind": ["acknowledgement"]}, "manifest"),
        ({"agency": None}, "manifest"),
        ({"lender": 7}, "manifest"),
        ({"note": "\ud800"}, "manifest"),
    ],
)
def test_a_manifest_that_says_what_it_cannot_mean_is_refused(said: dict[str, Any], code: str, tmp_path: Path) -> None:
    described = json.loads(manifest())
    described["consign"] |= said
    raw = json.dumps(described).encode()
    assert code_of(built(Part.of(MANIFEST, raw), honest()[1]), tmp_path) == code


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ({"bytes": 1}, "hash"),
        ({"bytes": "35"}, "hash"),
        ({"hash": "md5:0"}, "hash"),
        ({"hash": None}, "hash"),
        ({"schema": {"fields": [{"name": "account"}]}}, "manifest"),
        ({"schema": {"fields": [{"name": "status"}, {"name": "account"}]}}, "manifest"),
        ({"schema": {"fields": "account,status"}}, "manifest"),
        ({"schema": "https://example.org/schema.json"}, "manifest"),
        ({"path": ["accounts.csv", "more.csv"]}, "manifest"),
        ({"path": "https://example.org/accounts.csv"}, "manifest"),
    ],
)
def test_a_resource_that_is_not_what_it_claims_is_refused(claim: dict[str, Any], code: str, tmp_path: Path) -> None:
    assert code_of(built(Part.of(MANIFEST, manifest(**claim)), honest()[1]), tmp_path) == code


@pytest.mark.parametrize(
    "raw",
    [b'{"consign": {"rows": 2}, "consign": {"rows": 3}, "resources": []}', b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
     manifest().decode().encode("utf-16"), manifest() + b"x", manifest().replace(b'"rows": 2', b'"rows": 2, "rows": 2'),
     b'{"consign": {"rows": ' + b"9" * 50_000 + b'}, "resources": [{"name": "accounts", "path": "accounts.csv"}]}'],
    ids=["twice", "deep", "UTF-16", "more", "rows twice", "a long number"],
)  # fmt: skip
def test_json_that_readers_read_differently_is_refused(raw: bytes, tmp_path: Path) -> None:
    assert code_of(built(Part.of(MANIFEST, raw), honest()[1]), tmp_path) == "manifest"


def test_a_member_is_read_in_steps_of_any_size() -> None:
    raw = hashlib.shake_256(b"seed").digest(300_000) * 4
    for part in (Part.of("x", raw), replace(Part.of("x", raw, method=0, packed=len(raw)), packed=raw)):
        source = io.BytesIO(built(part))
        (member,) = members(source, at_most=1)
        for size in (1 << 20, 70_000, 4_096):
            stream = content(source, member, max_bytes=1 << 30)
            blocks = []
            while block := stream.read(size):
                blocks.append(block)
            assert b"".join(blocks) == raw
            assert {len(one) for one in blocks[:-1]} <= {size}


MEASURE = """
import sys
from pathlib import Path
from connectors.layouts.delimited import FileRefused
from connectors.layouts.package import read_package
before = peak_kb()
try:
    package = read_package(Path(sys.argv[1]), max_bytes=int(sys.argv[2]))
    said = ",".join(package.unread["code"])
except FileRefused as error:
    said = error.code
print(said, (peak_kb() - before) >> 10)
"""


@pytest.mark.parametrize(("most", "said"), [(512 << 20, "too_large"), (2 << 30, "line_too_long")])
def test_a_line_of_a_gibibyte_in_a_small_package_is_refused_without_being_held(
    most: int, said: str, tmp_path: Path, peak_in_child: str
) -> None:
    sentence = hashlib.shake_256(b"seed").digest(64)
    block = b"".join(b"x" * 120 + sentence[number % 60 : number % 60 + 2].hex().encode() for number in range(8_192))
    path = tmp_path / "package.zip"
    digest, size = hashlib.sha256(), 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("accounts.csv", "w", force_zip64=True) as table:
            for text in (b"account,status\nG1,", *[block] * 1_060, b"\nG2,booked\n"):
                table.write(text)
                digest.update(text)
                size += len(text)
        described = manifest(b"", 2, hash=f"sha256:{digest.hexdigest()}")
        archive.writestr(MANIFEST, described)
    assert size > 1 << 30
    assert path.stat().st_size < 64 << 20
    done = subprocess.run(
        [sys.executable, "-c", peak_in_child + MEASURE, str(path), str(most)], capture_output=True, text=True,
        check=False, cwd=ROOT, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told, mebibytes = done.stdout.split()
    assert told == said
    assert int(mebibytes) < 100
