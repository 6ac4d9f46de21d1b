"""The planner's state while it goes through its rules, and pieces that several rules need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mlbayes.model.model import Model
from mlbayes.plan import plan as p
from mlbayes.plan.affine import AffineBlock
from mlbayes.plan.builder import PlanBuilder
from mlbayes.plan.cells import CellStep, cluster_means, missing_values, transformed_values
from mlbayes.plan.expected_codes import ExpectedCode
from mlbayes.plan.normal_forms import Regressions
from mlbayes.plan.polynomial import TOP, Atom, Polynomial
from mlbayes.plan.regressions import OutcomeRegression, ResidualCovariance
from mlbayes.plan.symbols import Symbols, unsupported
from mlbayes.plan.unknowns import Coupling, Logits, Residual
from mlbayes.problems import Problem, ProblemError, ProblemKind


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

    def reversed(self) -> Theta:
        """The same with the rows of a covariance matrix in the opposite order."""
        return replace(self, kind=p.THETA_REVERSED) if self.kind == p.THETA_COVARIANCE else self


@dataclass
class Choice:
    """State of the planner while it goes through its rules.

    `modulators`: unknowns on which a log variance depends, which no block can draw; `drawn`: those of them
    that have an equation and a step already.  `shares`: expected codes of ordinal predictors that equations are centred
    at.  `codes`: by categorical equation, offset of its categories' places.
    `common`: coefficients that several logits of a nominal outcome have in common, which no block draws.
    """

    model: Model
    builder: PlanBuilder
    symbols: Symbols
    regressions: Regressions
    steps: list[PlannedStep] = field(default_factory=list)
    acceptances: list[tuple[str, str, float, int]] = field(default_factory=list)
    blocks: list[AffineBlock] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)
    drawn: set[Atom] = field(default_factory=set)
    modulators: set[Atom] = field(init=False)
    shares: set[Atom] = field(init=False)
    common: tuple[Atom, ...] = ()

    def __post_init__(self) -> None:
        self.modulators = modulators(self.regressions, self.symbols)
        occurring = {atom for r in self.regressions.locations for atom in r.predictor(True).atoms()}
        self.shares = {atom for atom in occurring if atom.kind == "share"}


def modulators(regressions: Regressions, symbols: Symbols) -> set[Atom]:
    """Unknowns, coefficients apart, that the equations of log variances have as predictors or random effects."""
    found = {atom for r in regressions.log_variances for atom in r.predictor(False).atoms()}
    return {atom for atom in found if symbols.is_dynamic(atom) and atom.kind not in ("parameter", "function")}


def outcome_residuals(
    choice: Choice, atoms: Sequence[Atom], without: set[int] | None = None, first: int = 0
) -> tuple[list[Residual], list[Coupling]]:
    """Outcome equations in which any of some symbols occur, coefficients taken as known.

    Those of nominal outcomes with several logits have no common normal form: they are found by `outcome_logits`.
    Equations whose residuals are correlated with those of one of them (`~~`) come along; the couplings refer to
    the residuals by their positions, counted from `first`.
    """
    chosen, excluded = set(atoms), without or set()
    composites = {
        r.number: r.composite()
        for r in choice.regressions.locations
        if r.number not in excluded and not r.planned.of_several
    }
    wanted = {number for number, composite in composites.items() if composite.atoms() & chosen}
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


def outcome_logits(choice: Choice, atoms: Sequence[Atom]) -> list[Logits]:
    """Nominal outcomes with several logits in which any of some symbols occur.

    Given the others, each logit is a binary one with a Gaussian form (Polya-Gamma); but these forms hold one at a
    time, so what enters several logits is not drawn from their product.
    """
    sources = dict.fromkeys(r.planned.source for r in choice.regressions.outcomes if r.planned.of_several)
    holding = {
        r.planned.source for r in choice.regressions.outcomes if r.predictor(True).atoms() & set(atoms)
    }
    return [logits_of(choice, source, composite=True) for source in sources if source in holding]


def logits_of(choice: Choice, source: int, composite: bool) -> Logits:
    """The logits of a nominal outcome; `composite`: with one symbol for a coefficient and its random effects."""
    parts = [r for r in choice.regressions.outcomes if r.planned.source == source]
    equation = parts[0].equation
    place = choice.symbols.category(equation.outcome)
    predictors = tuple(r.predictor(composite) for r in parts)
    return Logits(equation.outcome, place, predictors, equation.level, parts[0].active, equation.span)


def refuse_in_logits(choice: Choice, atoms: Sequence[Atom], what: str) -> None:
    """Raise ProblemError, with the place of the equation, if something enters the logits of a nominal outcome."""
    found = outcome_logits(choice, atoms)
    if found:
        message = f"{what} in the equation of the nominal outcome '{found[0].name}' cannot be run yet"
        raise ProblemError([Problem(message, found[0].span, "", ProblemKind.UNSUPPORTED)])


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


def plan_cells(choice: Choice, name: str, own: Sequence[Residual]) -> None:
    """Values that enter an equation other than linearly: Metropolis, one decision for each.

    `own`: models of predictors that they enter, beside the outcome equations.
    """
    residuals, logits = cell_equations(choice, name)
    moved = missing_values(choice.symbols, name)
    memory = CellStep(choice.symbols, moved, [*own, *residuals], logits).write()
    choice.acceptances.append((name, "imputation", 0.44, memory + 1))
    why = "the variable enters an equation in a power"
    if logits:
        why = "the variable enters several logits of " + ", ".join(entry.name for entry in logits)
    choice.steps.append(
        PlannedStep(
            f"missing or latent values of {name}",
            "random-walk Metropolis, one decision for each value, step size tuned in burn-in",
            why,
        )
    )


def plan_mean_cells(choice: Choice, mean: Atom, centre: ExpectedCode | None, own: Sequence[Residual]) -> None:
    """Latent cluster means, or a grand mean, of a predictor that enter an equation other than linearly: Metropolis.

    `centre`: the expected code at the mean, if an equation is centred at that; `own`: the predictor's model.
    """
    atoms = [mean] if centre is None else [mean, centre.atom]
    residuals, coupled = outcome_residuals(choice, atoms)
    logits = outcome_logits(choice, atoms)
    what = f"grand mean of {mean.name}" if mean.level == TOP else f"latent cluster means of {mean.name}"
    if coupled:
        raise unsupported(
            f"the {what}, which are in a power, a probability or several logits, cannot be run yet in an equation"
            " with correlated residuals (~~)"
        )
    moved = cluster_means(choice.symbols, mean, centre)
    memory = CellStep(choice.symbols, moved, [*own, *residuals], logits).write()
    choice.acceptances.append((mean.name, "imputation", 0.44, memory + 1))
    why = "they enter an equation in a power"
    if centre is not None:
        what_at = "probabilities of its higher code" if len(centre.codes) == 2 else "expected codes"
        why = f"the predictor is centred at the {what_at}, which are no linear functions of them"
    elif logits:
        why = "they enter several logits of " + ", ".join(entry.name for entry in logits)
    choice.steps.append(
        PlannedStep(what, "random-walk Metropolis, one decision for each, step size tuned in burn-in", why)
    )


def plan_transformed_cells(choice: Choice, r: OutcomeRegression) -> None:
    """Missing values of a transformed outcome that other equations need: Metropolis on the transformed scale."""
    assert r.transformation is not None
    name = r.equation.outcome
    residuals, logits = cell_equations(choice, name)
    own = Residual(r.equation.title, r.composite(), r.equation.level, r.active, r.precision, False)
    moved = transformed_values(choice.symbols, name, r.left, r.transformation)
    memory = CellStep(choice.symbols, moved, [own, *residuals], logits).write()
    choice.acceptances.append((name, "imputation", 0.44, memory + 1))
    choice.steps.append(
        PlannedStep(
            f"missing values of {name}",
            "random-walk Metropolis on the transformed scale, one decision for each value, step size tuned in"
            " burn-in",
            f"{r.equation.title} is normal, and other equations need {name} itself",
        )
    )


def cell_equations(choice: Choice, name: str) -> tuple[list[Residual], list[Logits]]:
    """The outcome equations that a variable enters, for a step that moves its values one by one."""
    value = choice.symbols.value(name)
    residuals, coupled = outcome_residuals(choice, [value])
    if coupled:
        raise unsupported(
            f"'{name}', which has a step of its own for its values (it is a count, transformed, in a power, or in"
            " logits of a nominal outcome), cannot be run yet in an equation with correlated residuals (~~)"
        )
    return residuals, outcome_logits(choice, [value])
