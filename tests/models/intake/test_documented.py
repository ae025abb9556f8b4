"""The reference of profiles says what the code has."""

from __future__ import annotations

from pathlib import Path

from models.intake.codes import CODES

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "profiles.md"


def test_every_code_is_in_the_reference_with_what_to_do() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    for code, fix in CODES.items():
        assert f"| `{code}` | {fix} |" in text
