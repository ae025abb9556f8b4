"""Specs of plans that a job drafts: a file each below home, for a job's row holds nothing but identifiers."""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Final

from models.errors import UsageError
from models.planning.spec import PlanSpec

if TYPE_CHECKING:
    from infra.wiring import Desk

FOLDER: Final = "plan-specs"
NAME: Final = re.compile(r"[0-9a-f]{16}")


def keep(desk: Desk, spec: PlanSpec) -> str:
    """The spec is kept; returns the name under which a job finds it. The same spec has the same name."""
    text = spec.json()
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = desk.folder(FOLDER) / f"{name}.json"
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
    return name


def find(desk: Desk, name: str) -> PlanSpec:
    """The spec of that name. Raises UsageError."""
    if NAME.fullmatch(name):
        path = desk.folder(FOLDER) / f"{name}.json"
        if path.exists():
            return PlanSpec.of(json.loads(path.read_text(encoding="utf-8")))
    raise UsageError("there is no such spec of a plan", fix="fill the form in again")


def forget(desk: Desk, name: str) -> None:
    """The spec is gone: its plan is drafted."""
    if NAME.fullmatch(name):
        (desk.folder(FOLDER) / f"{name}.json").unlink(missing_ok=True)
