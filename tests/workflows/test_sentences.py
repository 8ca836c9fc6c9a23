"""What people are told is said in their language: by names, in lists of that language, without patterns."""

import re
from typing import Any

import pytest

from tests.workflows.cases import EXAMPLES, REVIEW, STATES, Walk, henan
from workflows.facts import Actor
from workflows.faults import from_findings
from workflows.lifecycle import Refused
from workflows.programme import ROLE_NAMES, Role
from workflows.text import Text, listed, quoted

IDS = {
    *(name for name in henan().programme.event_by_name if "_" in name),
    *(state for state in STATES if "_" in state),
}


@pytest.mark.parametrize(
    ("texts", "zh", "en"),
    [
        (["A"], "A", "A"),
        (["A", "B"], "A、B", "A and B"),
        ([Text("甲", "one"), Text("乙", "two"), Text("丙", "three")], "甲、乙、丙", "one, two and three"),
    ],
)
def test_a_list_is_joined_as_its_language_does(texts: list[Any], zh: str, en: str) -> None:
    assert listed(texts) == Text(zh, en)


def test_what_a_quoted_name_quotes_stands_in_the_inner_marks() -> None:
    assert quoted(Text("报送“一企一策”提升方案", "file the plan")) == Text(
        "“报送‘一企一策’提升方案”", "'file the plan'"
    )


def test_every_role_has_its_name() -> None:
    assert set(ROLE_NAMES) == set(Role)


def test_the_wrong_state_and_the_wrong_role_are_told_by_their_names() -> None:
    reason = Walk().to("listed").refusal("fast_track", EXAMPLES["fast_track"], at="2024-07-20")["wrong_state"]
    assert reason.detail == Text(
        "当前状态为“已列入”，“快速通道”只能在以下状态进行：已预评估、方案已报、提升改造中",
        "the case is 'listed'; 'fast-track' is possible only from: pre-assessed, plan filed and upgrading",
    )
    walk = Walk().to("listed")
    offers = {
        offer.event.name: offer for offer in walk.machine.offers(walk.facts("2024-06-03", Actor("甲", "province")))
    }
    (reason,) = offers["pre_assess"].reasons
    assert (reason.who, reason.detail) == (
        "unit",
        Text("“预评估”由填报单位、专家办理", "'pre-assess' is for the unit and the expert"),
    )


@pytest.mark.parametrize("state", STATES)
def test_no_refusal_shows_an_id_of_an_event_or_state_or_quotes_within_quotes(state: str) -> None:
    walk = Walk().to(state)
    for event in henan().programme.events:
        sent = {**EXAMPLES.get(event.name, {}), **({"grade": "A"} if event.name == "accept" else {})}
        for at in ("2024-07-10", "2024-12-22"):
            sent = {name: at if name.endswith("ed_on") else value for name, value in sent.items()}
            decided = walk.ask(event.name, sent, at=at, by=Actor("某人", event.roles[0]))
            for reason in decided.reasons if isinstance(decided, Refused) else ():
                assert not IDS & set(re.findall(r"[a-z_]+", reason.detail.en)), reason.detail.en
                assert "、" not in reason.detail.en
                assert not re.search("“[^”]*“|“[^”]*$", reason.detail.zh), reason.detail.zh


def test_an_indicator_and_a_kind_of_measure_are_told_by_name() -> None:
    walk = Walk().to("upgrading")
    reasons = walk.refusal("accept", {**REVIEW, "indicators": {"emission_limits": "not_met"}}, at="2024-07-20")
    assert reasons["indicator_not_met"].detail.zh.startswith("指标“排放限值”")
    assert reasons["indicator_not_met"].detail.en.startswith("indicator 'emission limits'")


@pytest.mark.parametrize(
    ("finding", "detail"),
    [
        (
            {"type": "literal_error", "ctx": {"expected": "'passed', 'failed' or 'rectify'"}},
            Text("可选值：passed、failed、rectify", "must be one of: passed, failed and rectify"),
        ),
        (
            {"type": "string_pattern_mismatch", "ctx": {"pattern": "^[0-9]$"}},
            Text("格式不符", "this has not the form that is needed"),
        ),
    ],
)
def test_what_the_parser_expected_is_told_in_words(finding: dict[str, Any], detail: Text) -> None:
    (fault,) = from_findings([{**finding, "loc": ("result",), "msg": "as the parser says it"}])
    assert fault.detail == detail
