"""Forecasts of cash as people take them: made from the store, tried on the past, written as CSV and as a page."""

from __future__ import annotations

from infra.forecasts.making import Told, make
from infra.forecasts.writing import csv, html

__all__ = ["Told", "csv", "html", "make"]
