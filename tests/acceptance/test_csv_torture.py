"""`consign file check` of every file that strangers made to break readers: an answer each, right or honestly "cannot".

The files are not ours to give away: the tests are skipped where they are not there.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.layouts.delimited import Dialect, FileRefused, read_delimited
from models.checking import CODES

ROOT = Path(__file__).resolve().parents[2]
FILES = 320
SECONDS_PER_FILE, MEBIBYTES = 10, 400
ENOUGH = 1 << 30
CANNOT = {"wrong_format", "encoding", "malformed_csv", "not_a_package", "too_large", "missing_sheet"}
"""what honestly says that the file cannot be read"""
KINDS_OF_FILE = {".xls": "wrong_format", ".xlsx": "wrong_format", ".xlsm": "wrong_format", ".zip": "not_a_package"}
BARE_QUOTES = {"location_coordinates"}
"""seconds of arc in cells without quotes, which RFC 4180 does not allow: refused, and told so"""
CHILD = """
import json, resource, signal, sys
from datetime import date
from pathlib import Path
from infra.filecheck import check_file
from models.errors import ConsignError
seconds, mebibytes = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
def late(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, late)
for name in sys.stdin.read().splitlines():
    signal.alarm(seconds)
    try:
        found = check_file(Path(name), "activity", date(2026, 1, 10))
        said = {"lines": found.lines, "refused": found.refused, "codes": sorted(set(found.rejects["code"]))}
    except ConsignError as error:
        said = {"error": type(error).__name__, "exit_code": error.exit_code, "fix": error.fix}
    except BaseException as error:
        said = {"crash": repr(error)}
    signal.alarm(0)
    print(json.dumps({"name": name, "peak": peak_kb() >> 10, **said}), flush=True)
"""


@pytest.fixture(scope="module")
def torture(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the archive was unpacked to."""
    source = shared_data / "csv_torture" / "csv_torture.tar.gz"
    if not source.is_file():
        pytest.skip("no csv_torture here")
    folder = tmp_path_factory.mktemp("torture")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def answers(torture: Path, peak_in_child: str) -> dict[Path, dict[str, Any]]:
    """What the check said of each file, all of them in one child process."""
    names = sorted(path for path in torture.rglob("*") if path.is_file())
    assert len(names) == FILES
    done = subprocess.run(
        [sys.executable, "-c", peak_in_child + CHILD, str(SECONDS_PER_FILE), str(MEBIBYTES)],
        input="\n".join(map(str, names)), capture_output=True, text=True, check=False, timeout=110, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return {Path(one.pop("name")): one for one in said}


def test_every_file_has_an_answer_in_time_and_in_bounded_memory(answers: dict[Path, dict[str, Any]]) -> None:
    assert len(answers) == FILES
    assert {path.name: said for path, said in answers.items() if "crash" in said} == {}
    assert max(said["peak"] for said in answers.values()) < MEBIBYTES


def test_no_file_of_theirs_is_an_activity_file_of_ours_and_each_is_told_why(
    answers: dict[Path, dict[str, Any]],
) -> None:
    codes: Counter[str] = Counter()
    for path, said in answers.items():
        assert "error" not in said or (said["exit_code"] in {2, 3} and said["fix"]), (path.name, said)
        if "error" not in said:
            assert said["codes"], path.name
            assert set(said["codes"]) <= set(CODES)
            assert said["refused"] > 0
            codes.update(said["codes"])
    print(dict(codes))
    assert {"missing_column", "unknown_column", "encoding", "malformed_csv", "wrong_format"} <= set(codes)


def test_what_is_no_text_is_not_read_as_a_table(answers: dict[Path, dict[str, Any]]) -> None:
    for path, said in answers.items():
        if expected := KINDS_OF_FILE.get(path.suffix):
            assert set(said["codes"]) <= CANNOT, (path.name, said)
            assert expected in said["codes"]
        if "UTF-16" in str(path) or "UTF-32" in str(path) or "utf-16" in path.name:
            assert said["codes"] == ["encoding"] or set(said["codes"]) <= CANNOT, (path.name, said)


@pytest.mark.parametrize("suite", ["csv-spectrum", "csv-test-data"])
def test_where_the_archive_says_what_a_file_means_that_is_what_is_read(torture: Path, suite: str) -> None:
    checked = 0
    for meant in sorted((torture / suite / "json").glob("*.json")):
        source = next((torture / suite).glob(f"csv*/{meant.stem}.csv"))
        said = json.loads(meant.read_text(encoding="utf-8"))
        said = [said] if isinstance(said, dict) else said
        rows = [list(said[0]), *(list(one.values()) for one in said)] if said and isinstance(said[0], dict) else said
        if not rows:
            assert read_delimited(source, max_bytes=ENOUGH).count == 0
            continue
        if not any(rows[0]):
            with pytest.raises(FileRefused):  # nothing but empty lines: there is no header
                read_delimited(source, max_bytes=ENOUGH)
            continue
        found = read_delimited(source, max_bytes=ENOUGH)
        if meant.stem in BARE_QUOTES:
            assert set(found.rejects["code"]) == {"bad_quote"}
            continue
        assert found.rejects.empty, meant.stem
        # on its way to us the archive lost the carriage returns of its texts, not those that its JSON speaks of
        meant_rows = [[cell.replace("\r\n", "\n") for cell in row] for row in rows]
        assert [found.header, *table_of(found)] == meant_rows, meant.stem
        checked += 1
    assert checked >= 11


@pytest.mark.parametrize(
    ("name", "dialect", "refused"),
    [
        ("bad-header-less-fields", Dialect(), {"ragged_line"}),
        ("bad-header-more-fields", Dialect(), {"ragged_line"}),
        ("bad-missing-quote", Dialect(), {"bad_quote"}),
        ("bad-quotes-with-unescaped-quote", Dialect(), {"bad_quote"}),
        ("bad-unescaped-quote", Dialect(), {"bad_quote"}),
    ],
)
def test_what_the_archive_calls_bad_is_refused_line_by_line(
    torture: Path, name: str, dialect: Dialect, refused: set[str]
) -> None:
    found = read_delimited(torture / "csv-test-data" / "csv" / f"{name}.csv", dialect, max_bytes=ENOUGH)
    assert set(found.rejects["code"]) == refused


def test_a_file_read_without_a_refusal_is_read_as_a_stranger_s_reader_reads_it(torture: Path) -> None:
    agreed = 0
    csv.field_size_limit(ENOUGH)
    for source in sorted(torture.rglob("*")):
        if source.suffix not in {".csv", ".txt", ".tsv", ".psv", ".ssv"}:
            continue
        delimiter = {".tsv": "\t", ".psv": "|", ".ssv": ";"}.get(source.suffix, ",")
        try:
            found = read_delimited(source, Dialect(delimiter), max_bytes=ENOUGH)
        except FileRefused as refused:
            assert refused.code in CANNOT  # noqa: PT017 - one of many files
            continue
        if len(found.rejects):
            continue
        text = source.read_bytes().decode("utf-8-sig")
        theirs = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
        ours = [row for row in table_of(found) if row != [""]]
        assert [found.header, *ours] == theirs, source.name
        agreed += 1
    assert agreed > 100


SAMPLE = (
    "csv-spectrum/csvs/quotes_and_newlines.csv",
    "frictionless/data/ascii-notvalid.csv",
    "sniff/tests/sniff/example1.csv",
    "messytables_horror/okfn__messytables__encrypted_no_password.xls",
    "messytables_horror/okfn__messytables__simple.zip",
    "messytables_horror/okfn__messytables__utf-16le_encoded.csv",
    "messytables_horror/okfn__messytables__simple.xlsx",
    "blns/minimaxir__big-list-of-naughty-strings__blns.txt",
    "csv-test-data/csv/bad-missing-quote.csv",
)


@pytest.mark.parametrize("name", SAMPLE)
def test_the_program_says_so_too(torture: Path, consign: Callable[..., Any], name: str) -> None:
    said = consign("file", "check", torture / name, "--kind", "activity", "--json", exits=3)
    assert "Traceback" not in said.err
    assert "→" in said.err


def table_of(found: Any) -> list[list[str]]:
    columns = [column.to_pylist() for column in found.table.columns]
    return [list(row) for row in zip(*columns, strict=True)]
