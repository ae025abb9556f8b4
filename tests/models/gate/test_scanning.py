"""What a column holds is proved by its shape or read; what is found is told by place and kind alone."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.sandbox import notes
from models.gate.scanning import VOCABULARY_LINES, Hit, Scan, together
from models.gate.shapes import Shape, shapes
from models.kinds import KINDS
from models.release import load

PSEUDONYM = "G" + "0123456789ABCDEFGHJKMNPQRS"


def release_of(stage: str = "phone", channel: str = "phone"):  # type: ignore[no-untyped-def]  # noqa: ANN201 - a release
    return load("cn-default").release("collection", stage, [channel], "quayside")


def scanned(column: str, values: list[str | None], shape: Shape) -> list[Hit]:
    scan = Scan({column: shape})
    scan.look(pd.DataFrame({column: pd.Series(values, dtype="str")}), 1)
    return together(scan.hits)


def test_a_hit_names_column_kind_and_lines_and_never_the_value() -> None:
    (hit,) = scanned("product", ["card", "15412345678", None, "tel 15412345678"], Shape(free=True))
    assert hit == Hit("product", "phone", "likely", 2, (2, 4))
    assert "15412345678" not in str(dataclasses.asdict(hit))


def test_lines_are_counted_over_frames() -> None:
    scan = Scan({"product": Shape(free=True)})
    for first in (1, 3):
        scan.look(pd.DataFrame({"product": pd.Series(["card", "15412345678"], dtype="str")}), first)
    assert together(scan.hits) == [Hit("product", "phone", "likely", 2, (2, 4))]


def test_a_column_may_hold_what_it_is_for_and_nothing_else() -> None:
    shape = shapes(release_of().fields, release_of())["phone"]
    assert scanned("phone", ["15412345678", "+86 154 1234 5678", "tel. 15412345678"], shape) == []
    (hit,) = scanned("phone", ["15412345678", "110101199003077475"], shape)
    assert (hit.kind, hit.lines) == ("resident_id", (2,))
    (card,) = [one for one in scanned("phone", ["4532276644577020"], shape) if one.stops]
    assert card.kind == "card"


def test_an_agency_s_own_words_are_stopped_by_what_is_sure_alone() -> None:
    echo = shapes(KINDS["statement"].fields, None)["agency_txn_id"]
    assert not any(hit.stops for hit in scanned("agency_txn_id", ["15412345678", "123456789012345678"], echo))
    assert [hit.kind for hit in scanned("agency_txn_id", ["110101199003077475"], echo) if hit.stops] == ["resident_id"]


def test_pseudonyms_and_codes_are_proved_and_not_read() -> None:
    release = release_of()
    columns = {"account": PSEUDONYM, "region": "310100", "bucket": "M3", "stage": "phone", "opened_on": "2024-03"}
    scan = Scan({name: shape for name, shape in shapes(release.fields, release).items() if name in columns})
    scan.look(pd.DataFrame({name: pd.Series([value] * 3, dtype="str") for name, value in columns.items()}), 1)
    assert (scan.read, scan.hits, scan.free) == (0, [], {})


def test_a_free_text_is_kept_with_how_often_it_stands_there() -> None:
    scan = Scan({"product": Shape(free=True, few=True)})
    texts = ["car", "张三丰的贷款", *["car"] * VOCABULARY_LINES]
    scan.look(pd.DataFrame({"product": pd.Series(texts, dtype="str")}), 1)
    scan.look(pd.DataFrame({"product": pd.Series(["张三丰的贷款"], dtype="str")}), len(texts) + 1)
    seen = scan.free["product"]
    assert (seen["car"].count, seen["car"].lines[:2]) == (VOCABULARY_LINES + 1, [1, 3])
    assert (seen["张三丰的贷款"].count, seen["张三丰的贷款"].lines) == (2, [2, len(texts) + 1])


@pytest.mark.parametrize("kind", ["placement", "update", "recall", "receipt", "statement", "erasure_request",
                                  "correction", "certification", "key_announcement"])  # fmt: skip
@settings(max_examples=15)
@given(data=st.data())
def test_an_identifier_in_any_column_of_any_file_is_caught(kind: str, data: st.DataObject) -> None:
    release = release_of() if kind == "placement" else None
    fields = release.fields if release is not None else KINDS[kind].fields
    shape_of = shapes(fields, release)
    column = data.draw(st.sampled_from(sorted(shape_of)))
    planted = notes.resident_id(__import__("random").Random(data.draw(st.integers(0, 10_000))))
    if "resident_id" in shape_of[column].whole:
        return
    text = data.draw(st.sampled_from(["{}", "x {}", "{} y", "号码{}。"])).format(planted)
    row = data.draw(st.integers(0, 4))
    cells = [text if place == row else None for place in range(5)]
    hits = [hit for hit in scanned(column, cells, shape_of[column]) if hit.stops]
    assert [(hit.kind, hit.lines) for hit in hits if hit.kind == "resident_id"] == [("resident_id", (row + 1,))]
