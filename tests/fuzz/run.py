"""`make fuzz`: each target of tests/fuzz/targets.py for some seconds under libFuzzer, starting from the corpus.

What is found lies in tests/fuzz/corpus/<target>/, where `make test` replays it from then on; the inputs that only led
somewhere new stay in var/fuzz. Needs atheris (`pip install .[fuzz]`), which the tests do not.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SECONDS_PER_INPUT, MEBIBYTES, LONGEST = 10, 2_048, 65_536


def one(target: str, seconds: int, rest: list[str]) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # not in every environment, untyped

    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["connectors", "keys", "models"], enable_loader_override=False):
        from tests.fuzz.targets import TARGETS
    found, kept = HERE / "corpus" / target, ROOT / "var" / "fuzz" / target
    for folder in (found, kept):
        folder.mkdir(parents=True, exist_ok=True)
    atheris.Setup(
        [
            sys.argv[0], f"-max_total_time={seconds}", f"-timeout={SECONDS_PER_INPUT}", f"-rss_limit_mb={MEBIBYTES}",
            f"-max_len={LONGEST}", f"-artifact_prefix={found}/", "-print_final_stats=1", "-verbosity=1", *rest,
            str(kept), str(found),
        ],
        TARGETS[target],
    )  # fmt: skip
    atheris.Fuzz()


def main() -> int:
    """Every target, or those named, one after the other; 1 where one found something."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("targets", nargs="*", help="all, where none is named")
    reader.add_argument("--seconds", type=int, default=60, help="per target")
    reader.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked, rest = reader.parse_known_args()
    if asked.one:
        one(asked.targets[0], asked.seconds, rest)
        return 0
    sys.path.insert(0, str(ROOT))
    from tests.fuzz.targets import TARGETS

    if unknown := set(asked.targets) - set(TARGETS):
        reader.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    guilty = []
    for target in asked.targets or TARGETS:
        print(f"{target}: {asked.seconds} s", flush=True)
        command = [sys.executable, __file__, target, "--one", f"--seconds={asked.seconds}", *rest]
        if subprocess.run(command, check=False, cwd=ROOT).returncode:
            guilty.append(target)
    print(f"found something: {', '.join(guilty)}" if guilty else "nothing found", flush=True)
    return bool(guilty)


if __name__ == "__main__":
    sys.exit(main())
