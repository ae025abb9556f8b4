"""The options of `make torture`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the counts of the whole matrix are written."""
    parser.addoption("--torture-json", metavar="FILE", type=os.path.abspath, help="the whole matrix's counts, as JSON")
