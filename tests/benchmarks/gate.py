"""The gate: reading and counting a package, its recall and false alarms, and minimising against presidio-structured.

The floor is presidio-structured on the same table, as its own guide uses it: it finds out what the columns hold, then
an operator treats each. It is given every advantage: a blank spaCy pipeline and pattern recognisers alone (there is no
language model where nothing is fetched), a sample of the lines to find out from where its default is all of them, and
the answer beforehand. It is installed into an environment of its own for the run (`CONSIGN_BENCH_PRESIDIO` names a
Python that has it already); without it the benchmark says so and has no floor. Both sides are measured when warm.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from tests.benchmarks.measure import Cost, costing, cpu_of_program

COLUMNS: Final = (
    "account", "debtor", "name", "id_number", "phone", "region", "opened_on", "original_minor", "dpd", "product",
)  # fmt: skip
"""The ten columns: two to pseudonymise, three identities to mask, three facts to make coarser, two that leave whole."""
SAMPLE: Final = 1_000
"""Lines that presidio-structured may find out from."""
POLICY: Final = """
name = "bench"
version = "1"
jurisdiction = "CN"
[purposes.collection]
basis = "none: a benchmark"
verified = "text"
erase_after_days = 1
[risk]
k = 5
quasi = ["opened_on", "original", "region"]
[[release]]
purpose = "collection"
stages = ["phone"]
channels = ["phone"]
[release.fields]
product = "release"
currency = "release"
dpd = "release"
original = { how = "band", edges = [5000, 10000, 50000, 100000] }
region = { how = "coarsen", to = "city" }
opened_on = "month"
name = { how = "mask", first = 1 }
id_number = { how = "mask", last = 4 }
phone = { how = "mask", first = 3, last = 4 }
"""
THEIRS: Final = """
import sys, time, resource
import pandas as pd
from presidio_anonymizer.entities import OperatorConfig
import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_structured import PandasAnalysisBuilder, PandasDataProcessor, StructuredEngine
from presidio_structured.config import StructuredAnalysis


class Blank(SpacyNlpEngine):
    def __init__(self):
        super().__init__()
        self.nlp = {"en": spacy.blank("en")}

    def load(self):
        pass

    def is_loaded(self):
        return True


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


registry = RecognizerRegistry(supported_languages=["en"])
registry.load_predefined_recognizers(languages=["en"])
for name in [one.name for one in registry.recognizers if "Spacy" in one.name]:
    registry.remove_recognizer(name)
analyzer = AnalyzerEngine(nlp_engine=Blank(), registry=registry, supported_languages=["en"])
frame = pd.read_csv(sys.argv[1], dtype=str, keep_default_na=False)
mask = lambda letters: OperatorConfig(
    "mask", {"masking_char": "*", "chars_to_mask": letters, "from_end": False})
hashed = OperatorConfig("hash", {"hash_type": "sha256"})
analysis = StructuredAnalysis(entity_mapping={
    "account": "ACCOUNT", "debtor": "DEBTOR", "name": "PERSON", "id_number": "ID", "phone": "PHONE",
    "region": "PLACE", "opened_on": "DAY", "original_minor": "AMOUNT"})
operators = {
    "ACCOUNT": hashed, "DEBTOR": hashed, "PERSON": mask(10), "ID": mask(14), "PHONE": mask(7),
    "PLACE": mask(2), "DAY": mask(3), "AMOUNT": OperatorConfig("replace", {"new_value": "band"})}
began = cpu()
PandasAnalysisBuilder(analyzer).generate_analysis(frame.head(int(sys.argv[2])))
analysed = cpu()
out = StructuredEngine(data_processor=PandasDataProcessor()).anonymize(frame, analysis, operators)
done = cpu()
assert len(out) == len(frame)
print(analysed - began, done - analysed)
"""
"""Prints CPU seconds: of finding out what the columns hold, and of the operators. Start-up and reading do not count."""


def run(rows: int) -> dict[str, Any]:
    """Minimise, pseudonymise and count that many lines of ten columns; then read notes for identifiers."""
    frame = _frame(rows)
    _ours(frame.head(1_000))
    ours, parts = _ours(frame)
    theirs = _theirs(frame)
    floor = sum(theirs)
    recall, text = _recall()
    return {
        "name": "gate",
        "rows": rows,
        "cpu_s": round(ours.cpu_s, 3),
        "wall_s": round(ours.wall_s, 3),
        "peak_mb": round(ours.peak_mb),
        "floor_cpu_s": round(floor, 2) if floor else 0.0,
        "ratio": round(ours.cpu_s / floor, 5) if floor else 0.0,
        "stages": parts,
        "recall": recall,
        "text": f"{_compared(ours.cpu_s, theirs)}\n{text}",
    }


def _compared(ours: float, theirs: tuple[float, float]) -> str:
    analysing, treating = theirs
    if not treating:
        return "presidio-structured could not be had"
    return (
        f"presidio-structured: {treating:.1f} s for its operators, {treating / ours:,.0f} times as long; with"
        f" {analysing:.1f} s for looking at {SAMPLE:,} lines first, {(analysing + treating) / ours:,.0f} times"
    )


def _frame(rows: int) -> pd.DataFrame:
    """Accounts as the store has them, identities open: what `minimise` gets."""
    from infra.sandbox.debtors import portfolio

    raw = portfolio(1, rows, "harbour", date(2026, 1, 5))
    ids = np.arange(1, rows + 1)
    return pd.DataFrame({
        "account_id": ids, "debtor_id": pd.factorize(raw["id_number"])[0] + 1,
        "name": raw["name"], "id_number": raw["id_number"], "phone": raw["phone"], "region": raw["region"],
        "opened_on": pd.to_datetime(raw["opened_on"]), "dpd": raw["dpd"].astype("int64"), "product": raw["product"],
        "original_minor": raw["original"].str.replace(".", "", regex=False).astype("int64"),
        "currency": raw["currency"],
    })  # fmt: skip


def _ours(frame: pd.DataFrame) -> tuple[Cost, dict[str, float]]:
    from infra.packages import account_pseudonyms, debtor_pseudonyms
    from keys.pseudonyms import PseudonymKey
    from models.gate.risk import Tally
    from models.release import Policy, minimise

    release = Policy.parse(POLICY).release("collection", "phone", ["phone"], "bench")
    key = PseudonymKey("G", bytes(range(32)))
    with costing() as cost:
        with costing() as naming:
            named = frame.assign(
                account=account_pseudonyms(key, frame["account_id"]).to_numpy(),
                debtor=debtor_pseudonyms(key, frame["debtor_id"]).to_numpy(),
            )
        with costing() as minimising:
            left = minimise(named, release)
        with costing() as counting:
            tally = Tally(release)
            tally.count(left)
            decision = tally.decide()
            left = tally.coarser(left)
    assert decision.after.k is None or decision.after.k >= release.risk.k
    assert len(left) == len(frame)
    parts = {"pseudonymise": naming, "minimise": minimising, "risk": counting}
    return cost, {name: round(part.cpu_s, 3) for name, part in parts.items()}


def _theirs(frame: pd.DataFrame) -> tuple[float, float]:
    """CPU seconds of presidio-structured on the same ten columns, for looking and for treating; 0 where it is not."""
    with tempfile.TemporaryDirectory(prefix="consign-presidio-") as folder:
        python = os.environ.get("CONSIGN_BENCH_PRESIDIO") or _installed(Path(folder))
        if python is None:
            return 0.0, 0.0
        table = Path(folder) / "table.csv"
        plain = frame.rename(columns={"account_id": "account", "debtor_id": "debtor"})[list(COLUMNS)]
        plain.to_csv(table, index=False)
        told = subprocess.run(
            [python, "-c", THEIRS, str(table), str(SAMPLE)], capture_output=True, text=True, check=False
        )
        if told.returncode:
            print(told.stderr[-2_000:], file=sys.stderr)
            return 0.0, 0.0
        analysing, treating = map(float, told.stdout.split()[-2:])
        return analysing, treating


def _installed(folder: Path) -> str | None:
    """A Python of its own with presidio-structured; None where that cannot be installed."""
    python = str(folder / "env" / "bin" / "python")
    wanted = ["presidio-structured", "presidio-analyzer", "pandas"]
    try:
        cpu_of_program([sys.executable, "-m", "venv", str(folder / "env")])
        cpu_of_program([python, "-m", "pip", "install", "--quiet", *wanted])
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return None
    return python


def _recall() -> tuple[dict[str, float], str]:
    """Of planted identifiers the share that is found; of clean lines those that raise an alarm; microseconds a note."""
    from infra.sandbox import notes
    from models.gate.identifiers import found

    told, lines = {}, []
    for language in ("zh", "en"):
        planted, clean = notes.planted(20261122, 14_000, language), notes.clean(20261122, 20_000, language)
        hit = sum(
            note.kind in {one.kind for one in found(note.text) if one.certainty != "suspected"} for note in planted
        )
        with costing() as reading:
            alarms = sum(any(one.certainty != "suspected" for one in found(text)) for text in clean)
        told[f"recall_{language}"] = hit / len(planted)
        told[f"alarms_per_1000_{language}"] = round(1000 * alarms / len(clean), 2)
        lines.append(
            f"{language}: {hit / len(planted):.2%} of {len(planted):,} planted found,"
            f" {1000 * alarms / len(clean):.1f} alarms per 1,000 of {len(clean):,} clean notes,"
            f" {1e6 * reading.cpu_s / len(clean):.0f} µs a note"
        )
    return told, "\n".join(lines)
