"""The way of a case from its listing to recognition, refusal and re-submission."""

from tests.service.world import ZHENGZHOU, World

OFFICER = f"officer {ZHENGZHOU}"


def test_a_case_goes_from_the_list_to_recognition(world: World) -> None:
    case = world.listed()
    published = world.published(case)
    assert published["notice"]["ends_on"] == "2024-09-10"
    world.at("2024-09-10T23:59:00+08:00")
    assert world.case(case)["state"] == "published"
    world.at("2024-09-11T00:00:00+08:00")
    assert world.case(case)["state"] == "recognised"
    assert world.case(case)["grade_reached"] == "B"


def test_a_refused_case_comes_again_and_is_recognised(world: World) -> None:
    case = world.listed()
    world.rejected(case)
    world.at("2024-12-18")
    assert world.moved(OFFICER, case, "resubmit", world.resubmission(case))["state"] == "resubmitted"
    world.at("2024-12-30")
    world.check(case)
    assert world.moved(OFFICER, case, "publish")["flags"] == []
    world.at("2025-01-20")
    assert world.case(case)["state"] == "recognised"


def test_re_submission_closes_at_24_00_of_the_last_day(world: World) -> None:
    case = world.listed()
    world.rejected(case)
    world.at("2024-12-20T23:59:59+08:00")
    data = world.resubmission(case)
    answer = world.event(OFFICER, case, "resubmit", data, headers={"X-Request-Id": "in-time-01"})
    assert answer.status_code == 200


def test_re_submission_after_the_last_day_is_refused_and_the_case_lapses(world: World) -> None:
    case = world.listed()
    world.rejected(case)
    world.at("2024-12-21T00:00:00+08:00")
    assert world.refused(OFFICER, case, "resubmit", world.resubmission(case)) == {"too_late"}
    world.at("2024-12-21T00:04:59+08:00")
    assert world.case(case)["state"] == "rejected"
    world.at("2024-12-21T00:05:00+08:00")
    assert world.case(case)["state"] == "lapsed"
