"""Statements as files: CSV, XLSX and PDF per agency, month and currency, the same bytes whenever they are written."""

from __future__ import annotations

from infra.statements.files import FIELDS, write
from infra.statements.page import Heading, sheet, write_page

__all__ = ["FIELDS", "Heading", "sheet", "write", "write_page"]
