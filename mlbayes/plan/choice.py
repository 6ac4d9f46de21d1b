"""The planner's state while it goes through its rules, and pieces that several rules need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mlbayes.model.model import Model
from mlbayes.plan import plan as p
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.builder import PlanBuilder
from mlbayes.plan.cells import CellStep
from mlbayes.plan.polynomial import Atom, Polynomial
from mlbayes.plan.regressions import OutcomeRegression, Regressions, ResidualCovariance
from mlbayes.plan.symbols import Symbols, placed, unsupported
from mlbayes.plan.unknowns import Coupling, Residual


@dataclass(frozen=True)
class PlannedStep:
    """A line of the printed plan: what is drawn, how, and why so."""

    what: str
    how: str
    why: str


@dataclass(frozen=True)
class Theta:
    """A parameter of a collapsed step: its kind, target, number of elements and place of its prior."""

    kind: int
    target: int
    size: int
    prior: int = 0


@dataclass
class Choice:
    """State of the planner while it goes through its rules."""

    model: Model
    builder: PlanBuilder
    symbols: Symbols
    regressions: Regressions
    steps: list[PlannedStep] = field(default_factory=list)
    acceptances: list[tuple[str, str, float, int]] = field(default_factory=list)
    blocks: list[AffineBlock] = field(default_factory=list)
    codes: dict[int, int] = field(
        default_factory=dict
    )  # by categorical equation: offset of its categories' places


def outcome_residuals(
    choice: Choice, atoms: Sequence[Atom], without: set[int] | None = None, first: int = 0
) -> tuple[list[Residual], list[Coupling]]:
    """Outcome equations in which any of some symbols occur, coefficients taken as known.

    Equations whose residuals are correlated with those of one of them (`~~`) come along; the couplings refer to
    the residuals by their positions, counted from `first`.
    """
    chosen, excluded = set(atoms), without or set()
    composites = {r.number: r.composite() for r in choice.regressions.outcomes if r.number not in excluded}
    wanted = {number for number, composite in composites.items() if composite.atoms() & chosen}
    for number in sorted(wanted):
        _refuse_unknown_predictors(choice.regressions.outcomes[number], chosen)
    touched = [c for c in choice.regressions.covariances if wanted & set(c.members)]
    wanted |= {number for c in touched for number in c.members}
    numbers = sorted(wanted)
    outcomes = choice.regressions.outcomes
    residuals = [
        Residual(
            r.equation.title, composites[r.number], r.equation.level, r.active, r.precision, squares=False
        )
        for r in (outcomes[number] for number in numbers)
    ]
    return residuals, couplings(touched, numbers, first)


def _refuse_unknown_predictors(r: OutcomeRegression, unknown: set[Atom]) -> None:
    """Given its responses, a nominal outcome is linear in what enters one category alone, but in nothing else."""
    if r.planned.category is not None and r.predictor(True).atoms() & unknown:
        with placed(r.equation.span):
            raise unsupported(
                f"predictors of the nominal outcome '{r.equation.outcome}' that are missing or latent cannot be"
                " drawn yet"
            )


def couplings(
    matrices: Sequence[ResidualCovariance], numbers: Sequence[int], first: int = 0
) -> list[Coupling]:
    """Pairs of correlated residuals, given the equations' numbers in the order of the residuals."""
    return [
        Coupling(
            first + numbers.index(c.members[i]),
            first + numbers.index(c.members[j]),
            c.precision + i * (i + 1) // 2 + j,
        )
        for c in matrices
        for i in range(len(c.members))
        for j in range(i)
    ]


def involves(residual: Residual, atoms: Sequence[Atom]) -> bool:
    """Does any of some symbols occur in a residual."""
    return bool(residual.polynomial.atoms() & set(atoms))


def not_affine(
    polynomials: Sequence[Polynomial], candidates: Sequence[Atom], drawn: Sequence[Atom]
) -> list[Atom]:
    """Candidates to leave out so that every polynomial is affine in the rest together with `drawn`."""
    left = list(candidates)
    out: list[Atom] = []
    for atom in reversed(candidates):
        if not all(polynomial.is_affine_in([*left, *drawn]) for polynomial in polynomials):
            trial = [other for other in left if other != atom]
            alone = all(polynomial.is_affine_in([atom, *drawn]) for polynomial in polynomials)
            if not alone or all(polynomial.is_affine_in([*trial, *drawn]) for polynomial in polynomials):
                left = trial
                out.append(atom)
    return out


def add_variance(choice: Choice, precision: int, prior: tuple[float, float], count: int) -> int:
    """Add a residual variance with its inverse gamma prior."""
    return choice.builder.add("variances", [precision, choice.builder.vector(prior), count])


def add_collapsed(
    choice: Choice, block: AffineBlock, thetas: Sequence[Theta], name: str, repeats: int = 1
) -> None:
    """Add a collapsed step on parameters of a block."""
    builder = choice.builder
    first = builder.count("thetas")
    for theta in thetas:
        builder.add("thetas", [theta.kind, theta.target, theta.size, theta.prior])
    size = sum(theta.size for theta in thetas)
    memory = builder.zeros(p.collapsed_memory_size(size))
    row = [block.number, first, builder.count("thetas"), size, repeats, memory]
    builder.step(p.STEP_COLLAPSED, builder.add("collapsed", row))
    choice.acceptances.append((name, "parameter", 0.5, memory + 1))


def plan_cells(choice: Choice, name: str, own: Residual | None) -> None:
    """Values that enter an equation other than linearly: Metropolis, one decision for each."""
    residuals = [] if own is None else [own]
    _, coupled = outcome_residuals(choice, [choice.symbols.value(name)])
    if coupled:
        raise unsupported(
            f"a power of '{name}' in an equation with correlated residuals (~~) cannot be run yet"
        )
    residuals += [
        Residual(r.equation.title, r.composite(), r.equation.level, r.active, r.precision, False)
        for r in choice.regressions.outcomes
        if choice.symbols.value(name) in r.composite().atoms()
    ]
    memory = CellStep(choice.symbols, name, residuals).write()
    choice.acceptances.append((name, "imputation", 0.44, memory + 1))
    choice.steps.append(
        PlannedStep(
            f"missing or latent values of {name}",
            "random-walk Metropolis, one decision for each value, step size tuned in burn-in",
            "the variable enters an equation in a power",
        )
    )
