"""What the builder collects on its way beside the model: problems, warnings and silent additions.

One `Notes` is handed through all stages of the builder, so that a stage can go on after a problem
and the user sees all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mlbayes.language.nodes import NOWHERE
from mlbayes.model.model import Addition
from mlbayes.problems import Problem, ProblemError, ProblemKind
from mlbayes.source import Span

MAX_PROBLEMS = 100


@dataclass
class Notes:
    """Problems, warnings and additions, each in order of appearance and once only."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    additions: list[Addition] = field(default_factory=list)

    def problem(
        self,
        message: str,
        span: Span | None = None,
        hint: str = "",
        kind: ProblemKind = ProblemKind.SCRIPT,
        place: str = "",
    ) -> None:
        """Record a problem; a node without a place in the script has no span.  `place`: see `Problem`.

        Raises ProblemError with all of them when there are too many: a range may stand for thousands of unknown names.
        """
        problem = Problem(message, None if span == NOWHERE else span, hint, kind, place)
        if problem not in self.problems:
            self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            rest = Problem(f"after {MAX_PROBLEMS} errors the rest was not looked at", problem.span)
            raise ProblemError([*self.problems, rest])

    def unsupported(self, message: str, span: Span | None = None, hint: str = "") -> None:
        """Record something that the language has but the model graph cannot express."""
        self.problem(message, span, hint, ProblemKind.UNSUPPORTED)

    def data_problem(self, message: str, span: Span | None = None, hint: str = "", place: str = "") -> None:
        """Record something that has to be mended in the data; `place`: where in these."""
        self.problem(message, span, hint, ProblemKind.DATA, place)

    def warn(self, text: str) -> None:
        """Record a warning."""
        if text not in self.warnings:
            self.warnings.append(text)

    def add(self, what: str, because: str) -> None:
        """Record something that the user did not write."""
        addition = Addition(what, because)
        if addition not in self.additions:
            self.additions.append(addition)
