"""Portfolios and what became of them, the holds on their debtors, and every placement."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from fastapi import APIRouter, Form, Response

from console.web import standings
from console.web.language import later
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.visits import Acting, Visiting, needs
from infra.indexes import ref_index
from infra.store import browsing, keyset, portfolios, strictly
from infra.wiring import seated_here
from models.errors import ConsignError, UsageError
from models.kinds import HOLD_REASONS

if TYPE_CHECKING:
    from console.web.remembered import Figure
    from console.web.visits import Visit

router = APIRouter()
