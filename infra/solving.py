"""A linear programme solved in a process of its own, which can be ended: HiGHS does not always look at the clock.

`python -m infra.solving SECONDS` reads programmes from stdin and writes solutions to stdout, as numpy's archives of
plain arrays: nothing that is unpickled.
"""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import sparse

from models.planning.programme import FAILED, LIMITED, NOTHING, Programme, Solution, solve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Arrays = Mapping[str, npt.NDArray[Any]]

SECONDS: Final = 60.0
"""per programme; one of 5,000 groups and 20 agencies takes about two."""
GRACE_SECONDS: Final = 10.0
"""How much longer the process may take than its programmes: it starts, reads and writes."""
VECTORS: Final = ("cost", "row_low", "row_high", "low", "high", "whole")


def solved(programmes: Sequence[Programme], seconds: float = SECONDS) -> list[Solution]:
    """Each solved, in one process that is ended when its time is over; what is not there by then has failed."""
    told = _written([_parts(programme) for programme in programmes])
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "infra.solving", str(seconds)],
            input=told,
            capture_output=True,
            timeout=seconds * len(programmes) + GRACE_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return [Solution(LIMITED, NOTHING, NOTHING)] * len(programmes)
    except subprocess.CalledProcessError:
        return [Solution(FAILED, NOTHING, NOTHING)] * len(programmes)
    return [
        Solution(str(part["status"]), part["x"], part["prices"], *(float(one) for one in part["figures"]))
        for part in _read(ended.stdout)
    ]


def main() -> None:
    """The process's own part."""
    seconds = float(sys.argv[1])
    found = []
    for part in _read(sys.stdin.buffer.read()):
        result = solve(_programme(part), seconds)
        figures = np.array([result.cost, result.bound, result.gap])
        found.append(
            {"status": np.array(result.status), "x": result.x, "prices": result.prices, "figures": figures}
        )  # fmt: skip
    sys.stdout.buffer.write(_written(found))


def _parts(programme: Programme) -> Arrays:
    matrix = programme.matrix
    return {name: getattr(programme, name) for name in VECTORS} | {
        "entries": matrix.data, "columns": matrix.indices, "starts": matrix.indptr,
    }  # fmt: skip


def _programme(part: Arrays) -> Programme:
    shape = (len(part["row_low"]), len(part["cost"]))
    matrix: sparse.csr_matrix = sparse.csr_matrix((part["entries"], part["columns"], part["starts"]), shape=shape)
    cost, row_low, row_high, low, high, whole = (part[name] for name in VECTORS)
    return Programme(cost, matrix, row_low, row_high, low, high, whole)


def _written(parts: Sequence[Arrays]) -> bytes:
    """Archives of several, each array named `number.name`."""
    told = io.BytesIO()
    named = {f"{number}.{name}": array for number, part in enumerate(parts) for name, array in part.items()}
    np.savez(told, allow_pickle=False, **named)
    return told.getvalue()


def _read(told: bytes) -> list[dict[str, npt.NDArray[Any]]]:
    found: dict[int, dict[str, npt.NDArray[Any]]] = {}
    with np.load(io.BytesIO(told), allow_pickle=False) as archive:
        for key in archive.files:
            number, _, name = key.partition(".")
            found.setdefault(int(number), {})[name] = archive[key]
    return [found[number] for number in sorted(found)]


if __name__ == "__main__":
    main()
