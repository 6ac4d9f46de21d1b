"""Steps for categorical and count variables: their responses, missing categories, thresholds and coefficients.

The response (latent or working) is normal around the linear predictor, so everything else is drawn as for a normal
variable.  Here is what comes before that in a sweep: coefficients and thresholds with the response integrated out,
missing categories with the response integrated out, the responses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlbayes.plan import plan as p
from mlbayes.plan.builder import UnitSet
from mlbayes.plan.categories import category_labels
from mlbayes.plan.cells import CellStep, missing_values
from mlbayes.plan.choice import (
    Choice,
    PlannedStep,
    cell_equations,
    outcome_logits,
    outcome_residuals,
    refuse_in_logits,
)
from mlbayes.plan.conditional import conditional
from mlbayes.plan.evaluator import Evaluator
from mlbayes.plan.evidence import category_evidence, symbols_of
from mlbayes.plan.expected_codes import ExpectedCode
from mlbayes.plan.followers import NO_FOLLOWERS, Followers, Form
from mlbayes.plan.modulators import publish_roots
from mlbayes.plan.newton import Extras, NewtonStep, factor_columns, publish_effects
from mlbayes.plan.random_effects import free_groups
from mlbayes.plan.regressions import OutcomeRegression, PredictorRegression
from mlbayes.plan.responses import FAMILIES, Response, outcome_response, predictor_response
from mlbayes.plan.symbols import unsupported
from mlbayes.plan.unknowns import EffectGroup, Residual, TopUnknown

# So many coefficients are proposed with the thresholds; of more, the intercept alone.  With 20 items of five categories
# slopes have 1.3 times the effective draws if they are proposed, at 1.2 times the cost; with binary ones 3.4 times.
FEW_CATEGORIES, SEVERAL_CATEGORIES = 60, 20
HOW = {
    p.RESPONSE_NORMAL: "truncated normal draws (latent responses)",
    p.RESPONSE_LOGISTIC: "truncated logistic draws, each a normal with a variance of its own",
    p.RESPONSE_BINARY: "Polya-Gamma draws of the precisions of working responses",
    p.RESPONSE_COUNT: "Polya-Gamma draws of the precisions of working responses",
}


def plan_outcome_response(choice: Choice, r: OutcomeRegression, groups: Sequence[EffectGroup]) -> None:
    """The steps of an outcome; `groups`: its random effects, which blocks before it draw."""
    response = outcome_response(choice, r)
    response.groups = free_groups(choice, r, groups)
    ResponseSteps(choice, response).write()


def plan_category_response(choice: Choice, r: OutcomeRegression) -> None:
    """The working responses of a category of a nominal outcome, right before the blocks that use them.

    Their distribution depends on the linear predictors of the other categories, which have moved since the last
    sweep: coefficients drawn given responses of then would be drawn given the wrong ones.
    """
    ResponseSteps(choice, outcome_response(choice, r)).write_responses()


def plan_predictor_response(
    choice: Choice, part: PredictorRegression, others: Sequence[Residual], centres: Sequence[ExpectedCode]
) -> None:
    """The steps of an ordinal predictor; `others`: other predictors' models that count for it, `centres`: its expected
    codes that equations are centred at.
    """
    ResponseSteps(choice, predictor_response(choice, part, others, centres)).write()


class ResponseSteps:
    """Writes the steps of one response."""

    def __init__(self, choice: Choice, response: Response) -> None:
        self.choice = choice
        self.symbols = choice.symbols
        self.builder = choice.builder
        self.response = response
        self.variable = choice.model.variables[response.name]
        self.units = self.symbols.units(response.level)
        self.everyone = self.builder.unit_set(response.level, self.units, None, None)
        self.drawn = self.variable.incomplete and bool(response.active.all())  # missing values are needed
        self.codes = response.codes

    def write(self) -> None:
        """Append all steps; those of a category leave its responses to `write_responses`."""
        self._find_others()
        mean, sd = self._distribution()
        newton = self._newton(mean, sd)
        if self.response.of_several:  # its responses are drawn right before they are used
            self._words(newton, False, False)
            return
        cells, evidence = self._missing(mean)
        self._responses(mean, sd, cells, evidence)
        self._words(newton, cells is not None, True)

    def write_responses(self) -> None:
        """Append the draw of the responses alone."""
        mean, sd = self._distribution()
        self._responses(mean, sd, None, -1)
        self._words(False, False, True)

    # ------------------------------------------------------------------ distribution given the rest
    def _find_others(self) -> None:
        """Equations in which the latent response is a predictor."""
        response = self.response
        own = {residual.name for residual in response.own}
        refuse_in_logits(self.choice, [response.atom], f"the latent response of '{response.name}'")
        found, coupled = outcome_residuals(self.choice, [response.atom])
        used = [r for r in found if r.name not in own]
        if (used or len(response.own) > 1) and response.kind != p.RESPONSE_NORMAL:
            raise unsupported(
                f"the latent response of '{response.title}' cannot be used elsewhere with a logistic model",
                "use the probit model: the plain name of an ORDINAL variable",
            )
        if used and coupled:
            raise unsupported(
                f"'{response.name}.latent' in equations with correlated residuals (~~) cannot be run yet"
            )
        response.others = [*response.others, *used]

    def _distribution(self) -> tuple[int, int]:
        """Offsets of the mean and the standard deviation (-1: 1) of each response, given everything else."""
        response, builder = self.response, self.builder
        n = self.units
        if not response.others and len(response.own) == 1:
            with builder.program():
                evaluator = Evaluator(self.symbols, self.everyone)
                mean = builder.zeros(n)
                builder.instruct(p.OP_COPY, mean, n, evaluator.vector(response.predictor))
            return mean, -1
        residuals = [*response.own, *response.others]
        precisions = [(e, e, residual.precision) for e, residual in enumerate(residuals)]
        precisions += [(c.first, c.second, c.precision) for c in response.couplings]
        units = builder.unit_set(response.level, n, None, None, np.arange(n))
        precision, linear = conditional(self.symbols, units, response.atom, residuals, precisions)
        with builder.program():
            builder.instruct(p.OP_DIVIDE, linear, n, precision)
            sd = builder.zeros(n)
            builder.instruct(p.OP_RECIPROCAL, sd, n, precision)
            builder.instruct(p.OP_SQUARE_ROOT, sd, n, sd)
        return linear, sd

    # ------------------------------------------------------------------ coefficients and thresholds
    def _newton(self, mean: int, sd: int) -> bool:
        """Coefficients and thresholds with the response integrated out; afterwards the mean is that of the new ones."""
        response, builder = self.response, self.builder
        free = [] if response.others else self._proposed()
        groups = [] if response.others else response.groups
        count = response.kind == p.RESPONSE_COUNT
        binary = response.kind == p.RESPONSE_BINARY
        extras = 1 if count else 0 if binary else len(self.variable.codes) - 2
        if not free and not groups and not extras:
            return False
        followed = response.centres if extras and not count else []
        followers = self._followers(followed) if followed else NO_FOLLOWERS
        evaluator = Evaluator(self.symbols, self.everyone)
        first = builder.count("program")
        step = NewtonStep(self.symbols, self.units)
        split = response.predictor.by_unknown([top.atom for top in free])
        for top in free:
            step.coefficient(evaluator.vector(split[top.atom]), top)
        for group in groups:
            step.factor(group, [evaluator.vector(column) for column in factor_columns(group, response.terms)])
        shift = -1 if response.shift is None else evaluator.vector(response.shift)
        memory = step.write(
            FAMILIES[response.kind],
            first,
            self.codes,
            mean,
            sd,
            shift,
            Extras(max(response.cuts, 0), extras, followers),
        )
        kind = "threshold" if extras and not count else "parameter"
        self.choice.acceptances.append((response.title, kind, 1.0, memory))
        with builder.program():
            for group in groups:
                publish_effects(self.symbols, group)
            for code in followed:
                code.publish(self.symbols)
        return True

    def _followers(self, centres: Sequence[ExpectedCode]) -> Sequence[int]:
        """What the thresholds' step needs to see the equations change that are centred at expected codes."""

        def update() -> list[Form]:
            for code in centres:
                code.publish(self.symbols)
            return []

        atoms = [code.atom for code in centres]
        residuals, coupled = outcome_residuals(self.choice, atoms)
        logits = outcome_logits(self.choice, atoms)
        return Followers(self.symbols, set(atoms), update).write(residuals, coupled, logits)

    def _proposed(self) -> list[TopUnknown]:
        """Coefficients that are proposed together with the thresholds.

        The cost is quadratic in their number, and responses to several categories leave little to be gained for
        slopes: where there are many, they are left to the joint draw given the responses.
        """
        free = self.response.free
        several = len(self.variable.codes) > 2 and self.response.kind in (
            p.RESPONSE_NORMAL,
            p.RESPONSE_LOGISTIC,
        )
        if len(free) <= (SEVERAL_CATEGORIES if several else FEW_CATEGORIES):
            return free
        split = self.response.predictor.by_unknown([top.atom for top in free])
        return [top for top in free if split[top.atom].constant() is not None]

    # ------------------------------------------------------------------ missing values
    def _missing(self, mean: int) -> tuple[UnitSet | None, int]:
        """Missing categories with their evidence; missing counts have a step of their own, written here."""
        response, choice = self.response, self.choice
        if not self.drawn:
            return None, -1
        if response.kind == p.RESPONSE_COUNT:
            residuals, logits_of_others = cell_equations(choice, response.name)
            counts = mean, response.cuts
            moved = missing_values(self.symbols, response.name)
            memory = CellStep(self.symbols, moved, residuals, logits_of_others, counts).write()
            choice.acceptances.append((response.name, "imputation", 0.44, memory + 1))
            return None, -1
        return category_evidence(choice, response.name)

    # ------------------------------------------------------------------ responses
    def _responses(self, mean: int, sd: int, cells: UnitSet | None, evidence: int) -> None:
        response, symbols, builder = self.response, self.symbols, self.builder
        members = cells.members if cells is not None and cells.members is not None else np.zeros(0, np.int64)
        shift = -1
        if response.shift is not None:
            shift = symbols.offset(next(iter(response.shift.atoms())))
        row = [
            response.kind,
            self.units,
            symbols.offset(response.atom),
            -1 if response.root is None else symbols.offset(response.root),
            mean,
            sd,
            self.codes,
            response.cuts,
            2 if response.kind == p.RESPONSE_BINARY else len(self.variable.codes),
            builder.indices(members) if members.size else 0,
            members.size,
            evidence,
            symbols.offset(symbols.value(response.name)) if members.size else 0,
            builder.vector(category_labels(self.variable)) if members.size else 0,
            shift,
        ]
        builder.step(p.STEP_RESPONSES, builder.add("responses", row))
        if cells is not None:
            publish_roots(self.choice, symbols_of(self.variable))

    def _words(self, newton: bool, categories: bool, responses: bool) -> None:
        response = self.response
        what, how = [], []
        if newton:
            proposed = [] if response.others else self._proposed()
            named = ["coefficients" if proposed == response.free else "intercept"] if proposed else []
            named += ["(co)variances of random effects"] if response.groups and not response.others else []
            if response.kind == p.RESPONSE_COUNT:
                named.append("dispersion")
            elif response.kind != p.RESPONSE_BINARY and len(self.variable.codes) > 2:
                named.append("thresholds")
            what += named
            how.append(
                "an independence step around a Newton step from a fixed point, responses integrated out"
            )
        if categories:
            what.append("missing categories")
            how.append("categories with the response integrated out")
        if responses:
            what.append("responses")
            how.append(HOW[response.kind])
        if not what:
            return
        why = "a probit model is linear in its latent response"
        if newton:
            why = (
                "given its response the variable is drawn like a normal one; parameters depend too strongly on"
                " responses to be drawn given them alone"
            )
        elif response.category is not None:
            why = "they depend on the coefficients of the other categories, which have just been drawn"
        self.choice.steps.append(
            PlannedStep(
                f"{response.title}: {', '.join(what)}",
                "; ".join(how),
                why,
            )
        )
