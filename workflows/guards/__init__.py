"""The kinds of guard: each looks at one condition and yields a reason for all that is unmet."""

from collections.abc import Mapping

from workflows.guards import check, measures, persons
from workflows.guards.kind import Guard

GUARDS: Mapping[str, Guard] = {**measures.GUARDS, **check.GUARDS, **persons.GUARDS}
