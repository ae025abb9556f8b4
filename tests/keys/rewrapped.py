"""Seals a keyring under a new root key and dies at the n-th moment that matters: an opening, a rename, a removal.

    python rewrapped.py KEYRING KEY_FILE PASSPHRASE MOMENT

PASSPHRASE empty: a new key in the same file; else the keyring opens with it from now on. MOMENT 0 lets it finish and
prints how many moments there were. Run as a process of its own: the death is SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from keys.keyring import Argon2Cost, Keyring


def main() -> None:
    """See the module."""
    path, key_file, passphrase, moment = sys.argv[1:]
    folder = str(Path(path).parent)
    passed, watching = 0, False

    def hook(name: str, given: tuple[object, ...]) -> None:
        nonlocal passed
        if not watching or name not in {"open", "os.rename", "os.remove"} or not str(given[0]).startswith(folder):
            return
        passed += 1
        if passed == int(moment):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    ring = Keyring.open(Path(path), key_file=Path(key_file))
    watching = True
    if passphrase:
        ring.rewrap(passphrase=passphrase, cost=Argon2Cost(iterations=1, lanes=1, memory_kib=64))
    else:
        ring.rewrap(key_file=Path(key_file))
    watching = False
    print(passed)


if __name__ == "__main__":
    main()
