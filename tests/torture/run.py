"""`make torture`: faults are injected one by one, and what is lost, doubled or wrong afterwards is counted.

python -m tests.torture.run [--sample SEED] [--jobs 2] [--only WORDS] [--kinds KINDS] [--json FILE] [--list]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.torture import cases as faults
from tests.torture import matrix
from tests.torture.cases import BROKEN, Case, Result
from tests.torture.lanes import forked, laid
from tests.torture.miniature import Count, Ground

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE_ROWS: Final = 2_500
COLUMNS: Final = ("files_lost", "files_doubled", "lines_lost", "lines_doubled")
SHOWN: Final = 40


@dataclass
class Line:
    """The table's line of one kind of fault."""

    kind: str
    cases: int = 0
    injected: int = 0
    skipped: int = 0
    files: int = 0
    files_lost: int = 0
    files_doubled: int = 0
    lines: int = 0
    lines_lost: int = 0
    lines_doubled: int = 0
    other: int = 0
    """cases where something else is wrong: the audit chain, a sequence, sealed bytes, a verb that does not recover"""

    def add(self, result: dict[str, Any]) -> None:
        """One more case."""
        told = result["count"]
        self.cases += 1
        self.injected += result["injected"]
        self.skipped += bool(result["skipped"])
        for name in ("files", "lines", *COLUMNS):
            setattr(self, name, getattr(self, name) + told[name])
        self.other += bool(told["problems"])


@dataclass
class Tally:
    """All that was done, and what came of it."""

    lines: dict[str, Line] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    found_out: dict[str, bool] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, case: Case, result: dict[str, Any]) -> None:
        """One more case."""
        self.lines.setdefault(case.kind, Line(case.kind)).add(result)
        if result["failed"]:
            self.failures.append({"case": str(case), **result["count"]})

    @property
    def total(self) -> Line:
        """The sum over all kinds."""
        sums = {
            one.name: sum(getattr(line, one.name) for line in self.lines.values())
            for one in fields(Line)
            if one.name != "kind"
        }
        return Line("all", **sums)

    @property
    def holds(self) -> bool:
        """Nothing failed, something was done, and whoever counts can find something."""
        return not self.failures and self.total.injected > 0 and all(self.found_out.values())

    def table(self) -> str:
        """The counts as a person reads them."""
        head = ("fault", "injected", "files", "lost", "doubled", "lines", "lost", "doubled", "else wrong", "skipped")
        rows = [
            (line.kind, line.injected, line.files, line.files_lost, line.files_doubled, line.lines, line.lines_lost,
             line.lines_doubled, line.other, line.skipped)
            for line in [*sorted(self.lines.values(), key=lambda line: line.kind), self.total]
        ]  # fmt: skip
        widths = [max(len(str(row[at])) for row in [head, *rows]) for at in range(len(head))]
        drawn = [
            "  ".join(str(cell).ljust(wide) if at == 0 else str(cell).rjust(wide)
                      for at, (cell, wide) in enumerate(zip(row, widths, strict=True)))
            for row in [head, *rows]
        ]  # fmt: skip
        rule = "-" * len(drawn[0])
        return "\n".join([drawn[0], rule, *drawn[1:-1], rule, drawn[-1]])

    def report(self) -> str:
        """The table, what failed, and whether whoever counts can count."""
        total = self.total
        blind = [name for name, found in self.found_out.items() if not found]
        told = [self.table(), ""]
        told += [f"FAILED {one['case']}: {_said(one)}" for one in self.failures[:SHOWN]]
        told.append(
            f"faults injected {total.injected} (of {total.cases} planned, {total.skipped} skipped), files lost "
            f"{total.files_lost}, files doubled {total.files_doubled}, lines lost {total.lines_lost}, lines doubled "
            f"{total.lines_doubled}, otherwise wrong {total.other}; {self.seconds:.0f} s"
        )
        if self.found_out:
            told.append(
                f"broken on purpose: {len(self.found_out) - len(blind)} of {len(self.found_out)} found out by the same "
                f"count{': not ' + ', '.join(blind) if blind else ''}"
            )
        return "\n".join(told)

    def as_json(self) -> dict[str, Any]:
        """As it is written to a file."""
        return {
            "holds": self.holds, "seconds": round(self.seconds, 1), "total": asdict(self.total),
            "kinds": [asdict(line) for line in self.lines.values()], "failures": self.failures,
            "found_out": self.found_out,
        }  # fmt: skip


def _said(failure: dict[str, Any]) -> str:
    counted = [f"{name} {failure[name]}" for name in COLUMNS if failure[name]]
    return "; ".join([*counted, *failure["problems"]])


def main() -> int:
    """Run the matrix, print the table; 1 where anything was lost, doubled or otherwise wrong."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--sample", type=int, metavar="SEED", help="one case of each family, drawn by this seed")
    asked.add_argument("--most", type=int, help="no more cases than this, drawn by the same seed")
    asked.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="so many worlds side by side")
    asked.add_argument("--only", default="", help="cases in whose description this stands")
    asked.add_argument("--kinds", default="", help="cases of these kinds alone, comma-separated")
    asked.add_argument("--json", type=Path, help="write the counts here as well")
    asked.add_argument("--list", action="store_true", help="name the cases and do nothing")
    asked.add_argument("--quiet", action="store_true", help="no progress")
    options = asked.parse_args()
    began = time.monotonic()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="consign-torture-") as name:
        base = Path(name).resolve()
        os.chdir(base)
        with _errors_to(base / "errors"), laid(base / "0") as (ground, _):
            whole = options.sample is None
            chosen = _chosen(ground, options)
            if options.list:
                print("\n".join(map(str, chosen)))
                return 0
            _say(options, f"{len(chosen)} cases, {options.jobs} side by side")
            if not options.only and not options.kinds:
                tally.found_out = {one.name: faults.found_out(one, ground) for one in BROKEN}
            _run(chosen, ground, base, tally, options)
            if (whole and not options.only and not options.kinds) or options.only == "large":
                _run_large(base, tally, options)
    tally.seconds = time.monotonic() - began
    print(tally.report())
    if options.json:
        options.json.write_text(json.dumps(tally.as_json(), indent=1) + "\n")
    return 0 if tally.holds else 1


def _chosen(ground: Ground, options: argparse.Namespace) -> list[Case]:
    sample = options.sample is not None
    chosen = matrix.whole(matrix.Traces.of(ground), rest=not sample)
    if options.kinds:
        chosen = [case for case in chosen if case.kind in options.kinds.split(",")]
    if sample:
        chosen = matrix.sampled(chosen, options.sample, options.most)
    else:
        random.Random(1).shuffle(chosen)  # what fails shows early, and the lanes end together
    return [case for case in chosen if options.only in str(case)]


def _run(chosen: list[Case], ground: Ground, base: Path, tally: Tally, options: argparse.Namespace) -> None:
    """The cases, shared out among lanes; the first one lives in the world that is there, the others build their own."""
    jobs = max(1, min(options.jobs, len(chosen) // 20 + 1))
    notes = [base / f"lane{number}" for number in range(jobs)]
    lanes = []
    for number, note in enumerate(notes):
        note.touch()
        mine = chosen[number::jobs]
        lanes.append(forked(_lane(mine, number, jobs, note, ground if number == 0 else None, base)))
    told = dict.fromkeys(range(jobs), 0)
    bad = 0
    while sum(told.values()) < len(chosen):
        time.sleep(0.2)
        for number, note in enumerate(notes):
            lines = note.read_text().splitlines(keepends=True)
            for line in lines[told[number] :]:
                if not line.endswith("\n"):
                    break
                result = json.loads(line)
                tally.add(chosen[result["place"]], result)
                told[number] += 1
                if result["failed"]:
                    bad += 1
                    _say(options, f"FAILED {chosen[result['place']]}: {_said(result['count'])}")
        _progress(options, sum(told.values()), len(chosen), bad)
        if all(_gone(lane.pid) for lane in lanes):
            break
    for lane in lanes:
        ended = lane.wait()
        if not ended.well:
            message = f"a lane ended with {ended.code}: {ended.error}"
            raise RuntimeError(message)


def _lane(
    mine: list[Case], number: int, jobs: int, note: Path, ground: Ground | None, base: Path
) -> Callable[[], None]:
    """What a lane does: its cases, each noted as soon as it has ended."""

    def act() -> None:
        with note.open("a") as file:

            def live_in(here: Ground) -> None:
                for place, case in enumerate(mine):
                    began = time.monotonic()
                    try:
                        result = case.run(here)
                    except Exception as error:  # noqa: BLE001 - a case that breaks is a failure, and the others go on
                        result = Result(True, Count(problems=[f"the case broke: {type(error).__name__}: {error}"]))
                    told = {
                        "place": number + place * jobs, "injected": result.injected, "skipped": result.skipped,
                        "failed": result.failed, "count": result.count.as_json(),
                        "seconds": round(time.monotonic() - began, 2),
                    }  # fmt: skip
                    file.write(json.dumps(told) + "\n")
                    file.flush()

            if ground is not None:
                live_in(ground)
            else:
                with laid(base / str(number)) as (here, _):
                    live_in(here)

    return act


def _run_large(base: Path, tally: Tally, options: argparse.Namespace) -> None:
    """The cases of a large file, in a world of its own."""
    with laid(base / "large", LARGE_ROWS) as (ground, _):
        turns = {stage: faults.turns_of(ground, stage) for stage in ("place", "collect")}
        chosen = matrix.large(turns)
        _say(options, f"{len(chosen)} cases of a large file")
        alone = argparse.Namespace(**{**vars(options), "jobs": 1})
        (base / "large-lanes").mkdir()
        _run(chosen, ground, base / "large-lanes", tally, alone)


def _gone(pid: int) -> bool:
    told = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return told is not None


class _errors_to:  # noqa: N801 - reads as a sentence where it is used
    """What children write to their standard error is kept apart: tracebacks of threads whose connection was cut."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        sys.stderr.flush()
        self._kept = os.dup(2)
        os.environ["TORTURE_TALK"] = str(self._kept)
        with self._path.open("ab") as file:
            os.dup2(file.fileno(), 2)

    def __exit__(self, *_: object) -> None:
        sys.stderr.flush()
        os.dup2(self._kept, 2)
        os.close(self._kept)
        del os.environ["TORTURE_TALK"]


def _say(options: argparse.Namespace, what: str) -> None:
    if not options.quiet:
        clear = "\r\033[K" if sys.stdout.isatty() else ""
        os.write(int(os.environ["TORTURE_TALK"]), f"{clear}{what}\n".encode())


_LAST: list[float] = [0.0]


def _progress(options: argparse.Namespace, at: int, of: int, bad: int) -> None:
    every = 0.5 if sys.stdout.isatty() else 15.0
    if options.quiet or (time.monotonic() - _LAST[0] < every and at < of):
        return
    _LAST[0] = time.monotonic()
    end = "" if sys.stdout.isatty() else "\n"
    os.write(int(os.environ["TORTURE_TALK"]), f"\r{at} of {of} cases, {bad} failed{end}".encode())


if __name__ == "__main__":
    sys.exit(main())
