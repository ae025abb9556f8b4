"""The whole score: what each agency did, what was to be expected, how sure that is, and what was left out.

Components stay apart (S5). `overall` is their weighted sum on a stated scale, and is withheld where a gate is shut: a
gate is never averaged away.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import beta

from models.scoring.curves import liquidation_curves, pooled_curves
from models.scoring.expectation import Cells, Expectation, expectation
from models.scoring.parameters import Parameters, standard
from models.scoring.recoveries import APART, COUNTED, classed, clock, month_of
from models.scoring.segments import Segments, segments
from models.scoring.shrinkage import Posterior, posterior
from models.scoring.survival import kaplan_meier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

MODEL = "gamma-poisson"
CELLS_AT_ONCE = 6_000_000
"""Bags × segments × months × agencies held at once (48 MB each for accounts and payments); more segments, fewer bags."""  # noqa: RUF001 - a product
FEWEST_BAGS = 24

PLACEMENTS = (
    "placement_id", "debtor_id", "lender", "agency", "currency", "product", "score_band", "round", "balance_minor", "dpd",
    "placed_on", "due_back_on", "ended_on", "end_reason",
)  # fmt: skip
LINES = ("placement_id", "agency", "currency", "kind", "gross_minor", "commission_minor", "value_date")
CONDUCT = (
    "files", "files_refused", "lines", "lines_refused", "deliveries", "acknowledged_late", "complaints", "complaints_serious",
    "invoice_lines", "invoice_lines_disputed", "breaks", "breaks_open",
)  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """What a score is drawn from, all as of its day.

    placements: one row per placement that was sent, columns PLACEMENTS. lines: remittance lines that are money, columns
    LINES, signed, `commission_minor` as due. conduct: one row per agency (the index), counts, columns CONDUCT.
    """

    placements: pd.DataFrame
    lines: pd.DataFrame
    conduct: pd.DataFrame

    def sha256(self) -> str:
        """A digest of every value, whatever the order of the rows."""
        digest = hashlib.sha256()
        for frame in (self.placements, self.lines, self.conduct.reset_index()):
            digest.update(f"{list(frame.columns)} {len(frame)}".encode())
            if len(frame):
                rows = pd.util.hash_pandas_object(frame.convert_dtypes(dtype_backend="numpy_nullable"), index=False)
                digest.update(np.sort(rows.to_numpy()).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Component:
    """One figure about one agency; None where there is nothing to go by."""

    agency: str
    component: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    actual: float | None = None
    weight: float | None = None
    segment: str = "all"
    note: str = ""


@dataclass(frozen=True)
class Assessment:
    """The score of every agency. `curves` is the long table of models/scoring/curves.py; `summary` can be written as JSON."""

    components: tuple[Component, ...]
    curves: pd.DataFrame
    summary: dict[str, Any]


def model_version(parameters: Parameters) -> str:
    """Names the model and its parameters: scores compare only within one."""
    return f"{MODEL}/{parameters.version}"


def assess(inputs: Inputs, as_of: date, seed: int, parameters: Parameters | None = None) -> Assessment:
    """The assessment; the same inputs, day, seed and parameters give the same one, in whatever order the rows come."""
    book = _Book(inputs, as_of, seed, parameters or standard())
    return Assessment(tuple(book.components()), book.curves(), book.summary())


@dataclass
class _Book:
    """The placements and their money in codes, and what several components are drawn from."""

    inputs: Inputs
    as_of: date
    seed: int
    parameters: Parameters
    placements: pd.DataFrame = field(init=False)
    lines: pd.DataFrame = field(init=False)
    agencies: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Everything that is counted once is counted here."""
        parameters = self.parameters
        booked = ~self.inputs.placements["end_reason"].isin(parameters.never_booked)
        # in the order of their keys: the bags, and with them every draw, must not hang on the order of the rows
        self.placements = self.inputs.placements[booked].sort_values("placement_id", ignore_index=True)
        named = set(self.placements["agency"]) | set(self.inputs.conduct.index)
        self.agencies = sorted(str(name) for name in named)
        self.agency: Ints = pd.Index(self.agencies).get_indexer(pd.Index(self.placements["agency"])).astype(np.int64)
        self.segments: Segments = segments(self.placements, parameters)
        self.clock = clock(self.placements, self.as_of, parameters)
        self.lines = classed(self.inputs.lines, self.placements, self.clock.exposed_days, parameters)
        self.balance_minor: Ints = self.placements["balance_minor"].to_numpy(dtype=np.int64)
        self.counted = self.lines[self.lines["standing"] == COUNTED]
        self.at: Ints = self.counted["at"].to_numpy()
        self.month: Ints = month_of(self.counted["day"].to_numpy(), parameters)
        self.gross: Ints = self.counted["gross_minor"].to_numpy(dtype=np.int64)
        self.currency, self.currencies = pd.factorize(self.placements["currency"], sort=True)
        self.unit = self._payment_size()
        self.balance: Floats = self.balance_minor / self.unit[self.currency]
        self.money: Floats = self.gross / self.unit[self.currency[self.at]]
        self.bags = self._bags()
        self.bag = self._bag_of()
        self.rng = np.random.default_rng(self.seed)
        self.fit: Expectation = expectation(self._cells(), parameters.replicates, self.rng)
        self.recovered = self._by_agency(self.money, self.at)
        self.dispersion, self.posterior, self.ranked = self._recovery()

    # ------------------------------------------------------------------ sums

    def _payment_size(self) -> Floats:
        """An average payment per currency in minor units: what money is counted in, so that currencies add up."""
        size = np.ones(max(len(self.currencies), 1))
        paid = self.gross > 0
        code = self.currency[self.at[paid]]
        count = np.bincount(code, minlength=len(size))
        total = np.bincount(code, self.gross[paid], minlength=len(size))
        return np.where(count > 0, total / np.maximum(count, 1), 1.0) if len(code) else size

    def _bags(self) -> int:
        cells = max(1, len(self.segments.labels) * self.parameters.months * len(self.agencies))
        return int(np.clip(CELLS_AT_ONCE // cells, FEWEST_BAGS, self.parameters.bags))

    def _bag_of(self) -> Ints:
        """The bag of each placement: all of a debtor's are in one, each debtor in its own where there are few."""
        _, debtor = np.unique(self.placements["debtor_id"].to_numpy(dtype=np.int64), return_inverse=True)
        count = int(debtor.max(initial=-1)) + 1
        shuffled = np.random.default_rng([self.seed, 1]).permutation(count) % self.bags
        self.bags = min(self.bags, max(count, 1))
        return np.asarray(shuffled[debtor], dtype=np.int64)

    def _by_agency(self, values: Floats | Ints, at: Ints) -> Floats:
        return np.bincount(self.agency[at], values, minlength=len(self.agencies)).astype(np.float64)

    def _exposure(self) -> Iterator[tuple[int, Ints, Floats]]:
        """Per month on book: the rows of the placements exposed in it, and which part of it each was."""
        days, length = self.clock.exposed_days, self.parameters.month_days
        rows = np.arange(len(days))
        for month in range(self.parameters.months):
            rows = rows[days[rows] > month * length]
            if not len(rows):
                return
            part = (days[rows] - month * length) / length
            yield month, rows, part if month == self.parameters.months - 1 else np.minimum(part, 1.0)

    def _cells(self) -> Cells:
        """The sums of models/scoring/expectation.py."""
        shape = (self.bags, len(self.segments.labels), self.parameters.months, len(self.agencies))
        per_month = (shape[0], shape[1], shape[3])
        accounts, balance = np.zeros(shape), np.zeros(shape[1:])
        place = (self.bag * shape[1] + self.segments.code) * shape[3] + self.agency
        flat = self.segments.code * shape[3] + self.agency
        for month, rows, part in self._exposure():
            accounts[:, :, month] = np.bincount(place[rows], part, minlength=int(np.prod(per_month))).reshape(per_month)
            weight = part * self.balance[rows]
            balance[:, month] = np.bincount(flat[rows], weight, minlength=shape[1] * shape[3]).reshape(shape[1], shape[3])
        at, month, _ = self._payments()
        size = int(np.prod(shape))
        where = ((self.bag[at] * shape[1] + self.segments.code[at]) * shape[2] + month) * shape[3] + self.agency[at]
        payments = np.bincount(where, minlength=size).reshape(shape).astype(np.float64)
        paid_balance = np.bincount(place[at], self.balance[at], minlength=int(np.prod(per_month))).reshape(per_month)
        money = np.bincount(place[self.at], self.money, minlength=int(np.prod(per_month))).reshape(per_month)
        return Cells(accounts, payments, paid_balance, money, balance)

    def _payments(self) -> tuple[Ints, Ints, Floats]:
        """Placement, month and money of each month in which a placement paid more than was reversed."""
        key, position = np.unique(self.at * self.parameters.months + self.month, return_inverse=True)
        money = np.bincount(position, self.money, minlength=len(key))
        paid = money > 0
        return key[paid] // self.parameters.months, key[paid] % self.parameters.months, money[paid]

    # ------------------------------------------------------------------ recovery

    def _expected_of(self) -> Floats:
        """Money expected of each placement so far."""
        rates = self.fit.per_balance
        length = self.parameters.month_days
        so_far = np.hstack([np.zeros((len(rates), 1)), np.cumsum(rates, axis=1)])
        whole = np.minimum(self.clock.exposed_days // length, self.parameters.months - 1)
        part = (self.clock.exposed_days - whole * length) / length
        return np.asarray(self.balance * (so_far[self.segments.code, whole] + part * rates[self.segments.code, whole]))

    def _recovery(self) -> tuple[Floats, Posterior, npt.NDArray[np.bool_]]:
        """The dispersion of money in payments, θ of each agency, and who can be ranked."""
        agencies = len(self.agencies)
        self.expected_of = self._expected_of()
        expected = self._by_agency(self.expected_of, np.arange(len(self.agency)))
        effect = np.divide(self.recovered, expected, out=np.zeros(agencies), where=expected > 0)
        place = self.bag * agencies + self.agency
        residual = np.bincount(place[self.at], self.money, minlength=self.bags * agencies)
        residual = residual - np.bincount(place, self.expected_of, minlength=self.bags * agencies) * np.tile(effect, self.bags)
        squares = (residual.reshape(self.bags, agencies) ** 2).sum(0)
        took = np.maximum(self.recovered, 0.0)
        pooled = float(squares.sum() / took.sum()) if took.sum() > 0 else 1.0
        own = np.divide(squares, took, out=np.full(agencies, pooled), where=took > 0)
        count = self._by_agency(np.ones(len(self.at)), self.at)
        trust = count / (count + self.parameters.pooled_payments)
        dispersion = np.maximum(trust * own + (1 - trust) * pooled, 1e-9)
        self.payments_expected = expected / dispersion
        ranked = self.fit.shared / dispersion >= self.parameters.minimum_expected
        if ranked.sum() == 1:
            ranked[:] = False
        found = posterior(
            took / dispersion,
            self.payments_expected,
            log_error=self.fit.log_error,
            ranked=ranked,
            credible=self.parameters.credible,
        )
        self.expected = expected
        return dispersion, found, ranked

    # ------------------------------------------------------------------ components

    def components(self) -> Iterator[Component]:
        """Every figure, agency by agency, in a fixed order."""
        parts = [
            self._recovery_components(), self._net_back(), self._speed(), self._conduct(), self._complaints(),
        ]  # fmt: skip
        for position, agency in enumerate(self.agencies):
            mine = [component for part in parts for component in part[position]]
            weighted = [self._with_weight(component) for component in mine]
            yield from weighted
            yield self._overall(agency, weighted)
        yield from self._by_segment()

    def _recovery_components(self) -> list[list[Component]]:
        found, parts = self.posterior, []
        placed = self._by_agency(self.balance, np.arange(len(self.agency)))
        for position, agency in enumerate(self.agencies):
            if self.expected[position] <= 0:
                parts.append([Component(agency, name) for name in ("recovery", "p_best", "p_worst", "expected_rank")])
                continue
            note = "" if self.ranked[position] else "too_little_to_rank"
            mine = [
                Component(
                    agency,
                    "recovery",
                    value=float(found.mean[position]),
                    low=float(found.low[position]),
                    high=float(found.high[position]),
                    expected=float(self.expected[position] / placed[position]),
                    actual=float(self.recovered[position] / placed[position]),
                    note=note,
                )
            ]
            for name, values in (
                ("p_best", found.p_best), ("p_worst", found.p_worst), ("expected_rank", found.expected_rank),
            ):  # fmt: skip
                mine.append(Component(agency, name, value=_number(values[position]), note=note))
            parts.append(mine)
        return parts

    def _net_back(self) -> list[list[Component]]:
        """Recovered less commission (clawed back where reversed) per balance placed; and against what was expected of it."""
        unit = self.unit[self.currency[self.at]]
        commission = self.counted["commission_minor"].to_numpy(dtype=np.float64) / unit
        paid = self._by_agency(commission, self.at)
        clawed = -self._by_agency(np.minimum(commission, 0.0), self.at)
        placed = self._by_agency(self.balance, np.arange(len(self.agency)))
        net = self.recovered - paid
        # expected at the price that all agencies together cost
        price = paid.sum() / self.recovered.sum() if self.recovered.sum() > 0 else 0.0
        draws = self._draws()
        place = self.bag * len(self.agencies) + self.agency
        shape = (self.bags, len(self.agencies))
        size = shape[0] * shape[1]
        net_in = np.bincount(place[self.at], self.money - commission, minlength=size).reshape(shape)
        expected_in = np.bincount(place, self.expected_of, minlength=size).reshape(shape) * (1 - price)
        parts: list[list[Component]] = []
        for position, agency in enumerate(self.agencies):
            expected = self.expected[position] * (1 - price)
            if expected <= 0:
                parts.append([Component(agency, "net_back"), Component(agency, "commission_rate"), Component(agency, "clawback")])
                continue
            top, bottom = draws @ net_in[:, position], draws @ expected_in[:, position]
            ratio = top[bottom > 0] / bottom[bottom > 0]
            low, high = np.quantile(ratio, [self.parameters.tail, 1 - self.parameters.tail])
            recovered = self.recovered[position]
            parts.append([
                Component(
                    agency,
                    "net_back",
                    value=float(net[position] / expected),
                    low=float(low),
                    high=float(high),
                    expected=float(expected / placed[position]),
                    actual=float(net[position] / placed[position]),
                ),
                Component(agency, "commission_rate", value=float(paid[position] / recovered) if recovered > 0 else None),
                Component(agency, "clawback", value=float(clawed[position] / recovered) if recovered > 0 else None),
            ])
        return parts

    def _draws(self) -> Floats:
        """How often each bag is drawn in each replicate."""
        rng = np.random.default_rng([self.seed, 2])
        return rng.multinomial(self.bags, np.full(self.bags, 1 / self.bags), self.parameters.replicates).astype(np.float64)

    def _speed(self) -> list[list[Component]]:
        """Days to the first payment; recall and youth censor. Against all agencies together, not by segment."""
        watched = np.maximum(self.clock.exposed_days - 1, 0)
        first = np.full(len(watched), np.iinfo(np.int64).max)
        paying = self.gross > 0
        np.minimum.at(first, self.at[paying], self.counted["day"].to_numpy()[paying])
        paid = first <= watched
        day = np.where(paid, first, watched)
        seen = self.clock.exposed_days > 0
        horizon, credible = self.parameters.speed_days, self.parameters.credible
        everybody = kaplan_meier(day[seen], paid[seen]).paid_by(horizon, credible)
        parts = []
        for position, agency in enumerate(self.agencies):
            mine = seen & (self.agency == position)
            survival = kaplan_meier(day[mine], paid[mine])
            reached = survival.paid_by(horizon, credible)
            median = survival.median()
            if reached and everybody and everybody[0] > 0:
                value, low, high = (part / everybody[0] for part in reached)
                within = Component(agency, "paid_within", value, low, high, everybody[0], reached[0])
            else:
                within = Component(agency, "paid_within", note="too_young" if mine.any() else "")
            note = "" if median is not None or not mine.any() else "not_reached"
            parts.append([Component(agency, "median_days", value=_number(median), note=note), within])
        return parts

    def _conduct(self) -> list[list[Component]]:
        counts = self.inputs.conduct.reindex(index=self.agencies, columns=list(CONDUCT)).fillna(0).astype("int64")
        parts = []
        for agency in self.agencies:
            told = {str(name): int(count) for name, count in counts.loc[agency].items()}
            parts.append([
                self._share(agency, "data_quality", told["lines"] - told["lines_refused"], told["lines"]),
                self._share(agency, "files_accepted", told["files"] - told["files_refused"], told["files"]),
                self._share(
                    agency, "acknowledged_in_time", told["deliveries"] - told["acknowledged_late"], told["deliveries"]
                ),
                self._share(
                    agency, "invoice_accuracy",
                    told["invoice_lines"] - told["invoice_lines_disputed"], told["invoice_lines"],
                ),
                Component(agency, "breaks", value=float(told["breaks"]), actual=float(told["breaks_open"])),
            ])  # fmt: skip
        return parts

    def _share(self, agency: str, name: str, good: int, of: int) -> Component:
        """A share with Jeffreys' interval; None of nothing."""
        good = max(good, 0)
        if of <= 0:
            return Component(agency, name)
        low, high = beta.ppf([self.parameters.tail, 1 - self.parameters.tail], good + 0.5, max(of - good, 0) + 0.5)
        return Component(agency, name, value=good / of, low=float(low), high=float(high), actual=float(good), expected=float(of))

    def _complaints(self) -> list[list[Component]]:
        """Per 1,000 accounts, shrunk; and the gate that they hold."""
        accounts = np.bincount(self.agency, minlength=len(self.agencies)).astype(np.float64)
        told = self.inputs.conduct.reindex(index=self.agencies, columns=["complaints"]).fillna(0)
        count = told["complaints"].to_numpy(dtype=np.float64)
        rate = count.sum() / accounts.sum() if accounts.sum() else 0.0
        limit = self.parameters.complaints_per_1000
        parts = []
        found = posterior(count, accounts * rate, credible=self.parameters.credible) if rate > 0 else None
        for position, agency in enumerate(self.agencies):
            if not accounts[position]:
                parts.append([Component(agency, "complaints"), Component(agency, "complaint_gate", note="open")])
                continue
            scale = 1000 * rate
            if found is None:
                # none anywhere: zero, and up to the bound that no complaint among so many leaves
                top = -np.log(1 - self.parameters.credible) / accounts[position] * 1000
                value, low, high = 0.0, 0.0, float(top)
            else:
                value, low, high = (float(part[position] * scale) for part in (found.mean, found.low, found.high))
            actual = float(count[position] / accounts[position] * 1000)
            # nobody is shut out by being less than surely above the limit, nor by a neighbour's complaints
            shut = low > limit and actual > limit
            gate = "shut" if shut else "watch" if actual > limit else "open"
            parts.append([
                Component(agency, "complaints", value, low, high, expected=scale, actual=actual),
                Component(agency, "complaint_gate", value=limit, note=gate),
            ])
        return parts

    def _with_weight(self, component: Component) -> Component:
        weight = self.parameters.weights.get(component.component)
        if weight is None:
            return component
        return Component(**{**vars(component), "weight": weight.weight})

    def _overall(self, agency: str, mine: list[Component]) -> Component:
        """Points of 100 over the components that have a value; None behind a shut gate, or without a rankable recovery."""
        if any(part.component == "complaint_gate" and part.note == "shut" for part in mine):
            return Component(agency, "overall", note="gate_shut")
        if any(part.component == "recovery" and (part.value is None or part.note) for part in mine):
            return Component(agency, "overall", note="too_little_to_rank")
        told = [(self.parameters.weights[part.component], part) for part in mine if part.weight and part.value is not None]
        total = sum(weight.weight for weight, _ in told)
        missing = [part.component for part in mine if part.weight and part.value is None]
        ends = []
        for name in ("value", "low", "high"):
            # low and high are those of the agency's standing: for complaints the high end is the bad one
            points = 0.0
            for weight, part in told:
                end = name if weight.full > weight.zero else {"low": "high", "high": "low"}.get(name, name)
                seen = getattr(part, end)
                points += weight.weight * weight.share(part.value if seen is None else seen)  # type: ignore[arg-type]  # told have a value
            ends.append(100 * points / total)
        return Component(agency, "overall", *ends, note="without " + ", ".join(missing) if missing else "")

    def _by_segment(self) -> Iterator[Component]:
        """Actual over expected per agency and segment, pulled to the agency's own."""
        agencies = len(self.agencies)
        place = self.segments.code * agencies + self.agency
        size = len(self.segments.labels) * agencies
        expected = np.bincount(place, self.expected_of, minlength=size)
        actual = np.bincount(place[self.at], self.money, minlength=size)
        placed = np.bincount(place, self.balance, minlength=size)
        shape = 1 / max(self.posterior.spread, 1e-3) ** 2
        for cell in np.flatnonzero(expected > 0):
            segment, position = divmod(int(cell), agencies)
            own, phi = float(self.posterior.mean[position]), float(self.dispersion[position])
            known = shape + max(actual[cell], 0.0) / phi
            rate = shape / own + expected[cell] / phi
            yield Component(
                self.agencies[position],
                "recovery",
                value=float(known / rate),
                expected=float(expected[cell] / placed[cell]),
                actual=float(actual[cell] / placed[cell]),
                weight=None,
                segment=self.segments.labels[segment],
            )

    # ------------------------------------------------------------------ tables

    def curves(self) -> pd.DataFrame:
        """Per agency, segment, vintage and currency."""
        vintage = self.placements["placed_on"].dt.strftime("%Y-%m") if len(self.placements) else pd.Series([], dtype="str")
        frame = pd.DataFrame({
            "agency": pd.Categorical.from_codes(self.agency, self.agencies),
            "segment": pd.Categorical.from_codes(self.segments.code, list(self.segments.labels)),
            "vintage": vintage.astype("category"),
            "currency": self.placements["currency"].astype("category"),
            "balance_minor": self.balance_minor,
            "age_days": self.clock.age_days,
        })
        money = pd.DataFrame({"at": self.at, "month": self.month, "gross_minor": self.gross})
        return liquidation_curves(frame, money, self.parameters)

    def summary(self) -> dict[str, Any]:
        """What the scorecards draw besides the components; plain numbers and text, None where there is nothing."""
        return {
            "parameters": self.parameters.version,
            "as_of": self.as_of.isoformat(),
            "credible": self.parameters.credible,
            "month_days": self.parameters.month_days,
            "settle_days": self.parameters.settle_days,
            "acknowledge_days": self.parameters.acknowledge_days,
            "speed_days": self.parameters.speed_days,
            "peers_shown": self.parameters.peers_shown,
            "minimum_expected": self.parameters.minimum_expected,
            "segments": len(self.segments.labels),
            "debtors": int(self.placements["debtor_id"].nunique()),
            "spread": self.posterior.spread,
            "weights": {name: vars(weight) for name, weight in self.parameters.weights.items()},
            "ranked": int(self.ranked.sum()),
            "agencies": {name: self._agency_summary(position) for position, name in enumerate(self.agencies)},
            "curves": self._pooled(),
        }

    def _agency_summary(self, position: int) -> dict[str, Any]:
        mine = self.placements[self.agency == position]
        lines = self.lines[(self.lines["agency"] == self.agencies[position])]
        totals = {}
        for currency, placed in mine.groupby("currency")["balance_minor"]:
            own = lines[lines["currency"] == currency]
            by_standing = own.groupby("standing")["gross_minor"].agg(["size", "sum"])
            counted = own[own["standing"] == COUNTED]
            totals[str(currency)] = {
                "placed_minor": int(placed.sum()),
                "recovered_minor": int(counted["gross_minor"].sum()),
                "commission_minor": int(counted["commission_minor"].sum()),
                "reversed_minor": int(counted["gross_minor"].clip(upper=0).sum()),
                "apart": {
                    name: {"lines": int(by_standing["size"].get(name, 0)), "gross_minor": int(by_standing["sum"].get(name, 0))}
                    for name in APART
                },
            }
        return {
            "placements": len(mine),
            "debtors": int(mine["debtor_id"].nunique()),
            "weight_of_prior": float(self.posterior.weight_of_prior[position]),
            "payments_expected": float(self.payments_expected[position]),
            "totals": totals,
        }

    def _pooled(self) -> dict[str, Any]:
        """Cumulative liquidation per agency over all vintages, with its interval, and what was expected."""
        months, agencies = self.parameters.months - 1, len(self.agencies)
        length = self.parameters.month_days
        place = self.bag * agencies + self.agency
        size, shape = self.bags * agencies, (self.bags, agencies)
        recovered, placed = np.zeros((*shape, months)), np.zeros((*shape, months))
        expected = np.zeros((agencies, months))
        for month in range(months):
            old = self.clock.age_days >= (month + 1) * length
            if not old.any():
                break
            placed[:, :, month] = np.bincount(place[old], self.balance[old], minlength=size).reshape(shape)
            now = (self.month == month) & old[self.at]
            recovered[:, :, month] = np.bincount(place[self.at[now]], self.money[now], minlength=size).reshape(shape)
            part = np.clip(self.clock.exposed_days[old] / length - month, 0, 1)
            due = self.balance[old] * part * self.fit.per_balance[self.segments.code[old], month]
            expected[:, month] = np.bincount(self.agency[old], due, minlength=agencies)
        point, low, high = pooled_curves(recovered, placed, self._draws(), self.parameters.tail)
        total = placed.sum(0)
        due_rate = np.divide(expected, total, out=np.full(total.shape, np.nan), where=total > 0).cumsum(1)
        tables = {"rate": point, "low": low, "high": high, "expected": due_rate}
        return {
            agency: {name: [_number(cell) for cell in table[position] if not np.isnan(cell)] for name, table in tables.items()}
            for position, agency in enumerate(self.agencies)
        }


def _number(value: float | np.floating[Any] | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
