"""Canonical JSON and hashes of the audit (RFC 8785), and salted commitments."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from service.access import Act, Caller
from service.casework import audit, private

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=12,
)


@given(VALUES)
def test_canonical_json_is_that_of_rfc_8785_whichever_way_it_is_made(value: Any) -> None:
    assert audit.canonical(value).encode() == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", {"\ud800": 1}, {"a": ["\udfff"]}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 of which kind is the library's affair
        audit.canonical(value)


@given(TEXT, TEXT, st.none() | TEXT, st.dictionaries(TEXT, VALUES), st.dictionaries(TEXT, VALUES), st.datetimes())
def test_the_hash_of_an_entry_is_over_the_canonical_form_of_the_whole(
    name: str, action: str, reason: str | None, data: dict[str, Any], changes: dict[str, Any], at: datetime
) -> None:
    act = Act(Caller("t1", name, "unit", "410100"), at.replace(tzinfo=UTC), "r1")
    row = audit.row_of(audit.Entry(act, "case", "c1", 2, action, "p", "410100", reason, data, changes))
    whole = {
        "actor": {"id": "t1", "name": name, "role": "unit"},
        "action": action,
        "at": audit.instant_text(act.at),
        "changes": changes,
        "data": data,
        "prev": "p",
        "reason": reason,
        "request_id": "r1",
        "subject": {"id": "c1", "type": "case"},
        "unit": "410100",
        "version": 2,
    }
    assert row["hash"] == sha256(rfc8785.dumps(whole)).hexdigest()
    assert from_json(audit.hashed_text(row)) == from_json(rfc8785.dumps(whole))


def test_a_commitment_can_be_checked_with_salt_and_text_and_differs_for_equal_texts() -> None:
    contact = {"name": "王", "phone": "13800000000"}
    assert private.commitment("aa", contact) == sha256(b"aa" + rfc8785.dumps(contact)).hexdigest()
    assert private.commitment("aa", contact) != private.commitment("ab", contact)
