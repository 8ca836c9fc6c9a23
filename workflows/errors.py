"""The refusals of the rules.

WorkflowError
├── CalendarRefused      a year's calendar was not accepted
└── ProgrammeRefused     a programme file was not accepted
"""


class WorkflowError(Exception):
    """A rule refused; the message is for the person who asked."""


class CalendarRefused(WorkflowError):
    """A year's calendar was not accepted; `problems` names every fault in it, one sentence each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ProgrammeRefused(WorkflowError):
    """A programme file was not accepted; `problems` names every fault in it with its line or key."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
