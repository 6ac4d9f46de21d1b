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
from mlbayes.plan.regressions import Regressions
from mlbayes.plan.symbols import Symbols
from mlbayes.plan.unknowns import Residual


@dataclass(frozen=True)
class PlannedStep:
    """A line of the printed plan: what is drawn, how, and why so."""

    what: str
    how: str
    why: str


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


def outcome_residuals(
    choice: Choice, atoms: Sequence[Atom], without: set[int] | None = None
) -> list[Residual]:
    """Outcome equations in which any of some symbols occur, coefficients taken as known."""
    chosen = set(atoms)
    result = []
    for r in choice.regressions.outcomes:
        composite = r.composite()
        if r.number in (without or set()) or not composite.atoms() & chosen:
            continue
        result.append(
            Residual(r.equation.title, composite, r.equation.level, r.active, r.precision, squares=False)
        )
    return result


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
    choice: Choice, block: AffineBlock, groups: Sequence[int], variances: Sequence[int], repeats: int
) -> None:
    """Add a collapsed step on covariance groups and variances of a block."""
    builder = choice.builder
    sizes = [builder.tables["groups"][row][p.GROUP_SIZE] for row in groups]
    d = sum(size * (size + 1) // 2 for size in sizes) + len(variances)
    memory = builder.zeros(p.collapsed_memory_size(d))
    row = builder.add(
        "collapsed",
        [
            block.number,
            builder.indices([len(groups), *groups]),
            builder.indices([len(variances), *variances]),
            d,
            repeats,
            memory,
        ],
    )
    builder.step(p.STEP_COLLAPSED, row)
    names = ", ".join(dict.fromkeys(residual.name for residual in block.residuals if residual.squares))
    choice.acceptances.append((names, "parameter", 0.5, memory + 1))


def plan_cells(choice: Choice, name: str, own: Residual | None) -> None:
    """Missing values that enter an equation other than linearly: Metropolis, one decision for each."""
    residuals = [] if own is None else [own]
    residuals += [
        Residual(r.equation.title, r.composite(), r.equation.level, r.active, r.precision, False)
        for r in choice.regressions.outcomes
        if choice.symbols.value(name) in r.composite().atoms()
    ]
    memory = CellStep(choice.symbols, name, residuals).write()
    choice.acceptances.append((name, "imputation", 0.44, memory + 1))
    choice.steps.append(
        PlannedStep(
            f"missing values of {name}",
            "random-walk Metropolis, one decision for each value, step size tuned in burn-in",
            "the variable enters an equation in a power or together with its coefficients",
        )
    )
