"""How decisions are put: to do what, and by whom, and who may not come again."""

import pytest

from workflows.results import TO_ENTERPRISE, TO_UNIT, Result, what_next

DECISIONS = [
    *(pytest.param(result, kind, id=f"{kind} to the enterprise") for kind, result in TO_ENTERPRISE.items()),
    *(pytest.param(result, kind, id=f"{kind} to the unit") for kind, result in TO_UNIT.items()),
]


@pytest.mark.parametrize(("result", "kind"), DECISIONS)
def test_p6_who_was_refused_and_may_not_come_again_any_more_is_told_so(result: Result, kind: str) -> None:
    assert what_next(result, has_term=True) == result.next
    if kind in ("reject", "uphold_objection"):
        assert "下一年度" in what_next(result, has_term=False).zh
        assert "next year" in what_next(result, has_term=False).en
        assert "再次报送" in result.next.zh
    else:
        assert what_next(result, has_term=False) == result.next
