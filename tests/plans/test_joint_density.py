"""What every step targets against the joint log density written from the model graph alone."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from scipy import integrate, stats
from toy_models import MODELS, made
from toys import Running, at_step, before_block, holed, plan_of, steps_of, two_level, vector
from verifier import Dense, engine_vector

from mlbayes.engine.steps.cells import log_densities
from mlbayes.engine.steps.cluster_variances import log_population
from mlbayes.engine.steps.modulators import modulated_terms
from mlbayes.engine.steps.newton import newton_value, read_parameters, write_parameters
from mlbayes.engine.steps.parameters import log_density
from mlbayes.model.expressions import references
from mlbayes.plan import plan as p
from mlbayes.plan.polynomial import Atom

PLANS = {name: made(name) for name in MODELS if not name.startswith("joint")}


def values_of(planned, store: np.ndarray) -> naive.Values:
    """The state of a chain by meaning."""
    model, symbols = planned.model, planned.symbols
    values = naive.Values(model)

    def read(atom):
        return vector(planned, store, atom)

    for name, variable in model.variables.items():
        value = [atom for atom in symbols.place if atom.kind == "value" and atom.name == name]
        values.data[name] = read(value[0]) if value else variable.values
    for atom in symbols.place:
        variable = model.variables.get(atom.name)
        nominal = variable is not None and variable.kind.name == "NOMINAL"
        name = f"{atom.name}.{atom.index}" if nominal else atom.name
        if atom.kind == "mean":
            values.means[name, atom.level] = read(atom)
        elif atom.kind == "lag":
            values.lags[atom.name, atom.index] = read(atom)
        elif atom.kind == "grand":
            values.grand[name] = float(read(atom)[0])
        elif atom.kind == "response":
            values.responses[name] = read(atom)
        elif atom.kind == "code":
            np.testing.assert_array_equal(read(atom), values.data[atom.name] == atom.index)
        elif atom.kind == "parameter":
            values.parameters[atom.name] = float(read(atom)[0])
    for r in planned.regressions.outcomes:
        k, category = r.planned.source, r.planned.category
        residual = r.equation.residual
        if residual is not None and model.parameters[residual].fixed is None:
            values.parameters[residual] = 1.0 / store[r.precision]
        values.active[k] = r.active
        if r.population >= 0:
            values.cluster_variances[k] = read(r.root) ** -2.0
        if r.cuts >= 0:
            values.cuts[k] = store[r.cuts : r.cuts + len(model.variables[r.equation.outcome].codes) - 1]
        if r.dispersion >= 0:
            values.dispersions[k] = float(store[r.dispersion])
        if not r.continuous and not r.of_variance:
            precision = np.ones(r.active.size) if r.root is None else read(r.root) ** 2
            values.working[k, category] = (read(r.left), precision)
        values.modes[k] = r.recentring.mode
        for group, factor in zip(r.equation.random, r.factors, strict=True):
            size = len(group.terms)
            lower = np.zeros((size, size))
            lower[np.tril_indices(size)] = store[factor : factor + size * (size + 1) // 2]
            values.matrices[k, category, group.level] = (lower @ lower.T)[::-1, ::-1]
            effects = [read(r.effect(group.level, t)) for t in group.terms]
            values.effects[k, category, group.level] = np.stack(effects)
    for c in planned.regressions.covariances:
        size = len(c.members)
        lower = np.zeros((size, size))
        lower[np.tril_indices(size)] = store[c.factor : c.factor + size * (size + 1) // 2]
        sources = tuple(planned.regressions.outcomes[k].planned.source for k in c.members)
        values.covariances[sources] = lower @ lower.T
        for k, variance in zip(c.members, np.diag(lower @ lower.T), strict=True):
            residual = planned.regressions.outcomes[k].equation.residual
            if residual is not None and model.parameters[residual].fixed is None:
                values.parameters[residual] = float(variance)
    parts: dict[str, int] = {}
    for part in planned.regressions.predictors:
        number = parts.setdefault(part.name, 0)
        values.slopes[part.name, number] = [float(read(slope)[0]) for slope in part.slopes]
        values.residuals[part.name, number] = 1.0 / store[part.precision]
        if part.cuts >= 0:
            values.predictor_cuts[part.name] = store[part.cuts :][: len(model.variables[part.name].codes) - 1]
        parts[part.name] += 1
    return values


def with_forms(values: naive.Values, planned, block) -> naive.Values:
    """The state as a block takes it: its own logit of a nominal outcome counts with its working response."""
    titles = {residual.name for residual in block.residuals}
    values.forms = {
        (r.planned.source, r.planned.category)
        for r in planned.regressions.outcomes
        if r.planned.of_several and r.equation.title in titles
    }
    return values


def place(planned, store: np.ndarray, dense: Dense, t: np.ndarray) -> None:
    """Put a block's unknowns (effects standardised) where the state has them."""
    own = dense.whitening() @ t
    for part in dense.parts:
        offset = planned.symbols.offset(part.atom)
        store[offset + part.units] = own[part.places]


def own_predictors(block) -> list[str]:
    """Predictors whose model a block belongs to."""
    parts = [top.atom for top in block.tops if top.atom.kind in ("grand", "slope")]
    return list(dict.fromkeys(atom.name.split()[0].split(".")[0] for atom in parts))


def log_densities_of_block(running: Running, block, dense: Dense, states) -> tuple[list[float], list[float]]:
    """The joint log density with the unknowns of a block in some states, and that which the block gives to them."""
    planned = running.planned
    joint, own = [], []
    for t in states:
        store = running.store.copy()
        place(planned, store, dense, t)
        values = with_forms(values_of(planned, store), planned, block)
        joint.append(values.log_joint(own_predictors(block)))
        own.append(-0.5 * float(t @ dense.precision @ t) + float(dense.linear @ t))
    return joint, own


@pytest.mark.parametrize("name", PLANS)
def test_blocks_target_the_joint_density(name):
    planned = PLANS[name]
    rng = np.random.default_rng(6)
    for block in planned.blocks:
        running = before_block(planned, block.number)
        dense = Dense(planned, running.store.copy(), block)
        states = [dense.mean + 0.3 * rng.normal(size=dense.size) for _ in range(3)]
        joint, own = log_densities_of_block(running, block, dense, states)
        np.testing.assert_allclose(np.diff(joint), np.diff(own), rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("name", PLANS)
def test_drawn_values_are_published(name):
    """After its draw a block's values are where other blocks look for them."""
    planned = PLANS[name]
    running = Running.start(planned, sweeps=2)
    steps = planned.plan.steps[:, 0]
    moves = np.flatnonzero(steps == p.STEP_NEWTON)  # of what the last block has drawn before
    last = np.flatnonzero(steps == p.STEP_DRAW)[-1] if planned.blocks else 0
    for number in range(next(iter(moves[moves > last]), len(steps))):
        running.step(number)
    for block in planned.blocks[-1:]:
        titles = {residual.name for residual in block.residuals}
        if any(not r.continuous and r.equation.title in titles for r in planned.regressions.outcomes):
            continue  # coefficients move once more with the response integrated out
        dense = Dense(planned, running.store.copy(), block)
        t = engine_vector(running.store, dense)
        store = running.store.copy()
        place(planned, store, dense, t)
        np.testing.assert_allclose(store, running.store, rtol=1e-12, atol=1e-12)


def having(code: int) -> list[str]:
    return [name for name, planned in PLANS.items() if steps_of(planned, code)]


@pytest.mark.parametrize("name", having(p.STEP_CELLS))
def test_cells_target_the_joint_density(name):
    """Changing one cell changes the log density that the step gives to it as it does the joint one."""
    planned = PLANS[name]
    for number in steps_of(planned, p.STEP_CELLS):
        running = at_step(planned, number)
        row = planned.plan.cells[planned.plan.steps[number, 1]]
        n = int(planned.plan.sets[row[p.CELL_SET], p.SET_UNITS])
        store = running.store
        found = np.zeros((2, n))
        current = store[row[p.CELL_VALUES] : row[p.CELL_VALUES] + n].copy()
        moved = current + np.linspace(-1.0, 1.5, n)
        target = row[p.CELL_SCALE] + 3 + n
        for k, proposals in enumerate((current, moved)):
            store[row[p.CELL_PROPOSALS] : row[p.CELL_PROPOSALS] + n] = proposals
            log_densities(planned.plan, store, row, target)
            found[k] = store[target : target + n]
        symbol = cell_symbol(planned, store, current, n)
        if symbol.kind not in ("value", "mean", "grand"):
            continue
        units = np.arange(n)
        if symbol.kind == "value":
            units = np.flatnonzero(planned.model.variables[symbol.name].missing)
        predictors = [m.variable for m in planned.model.predictor_models if m.variable == symbol.name]
        offset = planned.symbols.offset(symbol)
        base = values_of(planned, store).log_joint(predictors)
        for i in range(n):
            store[offset + units[i]] = moved[i]
            joint = values_of(planned, store).log_joint(predictors)
            store[offset + units[i]] = current[i]
            np.testing.assert_allclose(found[1, i] - found[0, i], joint - base, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", having(p.STEP_CELLS))
def test_transformed_cells_target_the_joint_density(name):
    """The same of cells that move on the transformed scale: the density there is less by the derivative."""
    planned = PLANS[name]
    for number in steps_of(planned, p.STEP_CELLS):
        running = at_step(planned, number)
        row = planned.plan.cells[planned.plan.steps[number, 1]]
        n = int(planned.plan.sets[row[p.CELL_SET], p.SET_UNITS])
        store = running.store
        current = store[row[p.CELL_VALUES] : row[p.CELL_VALUES] + n].copy()
        symbol = cell_symbol(planned, store, current, n)
        if symbol.kind in ("value", "mean", "grand"):
            continue
        r = next(r for r in planned.regressions.outcomes if r.left == symbol)
        units = np.flatnonzero(planned.model.variables[r.equation.outcome].missing)
        offset = planned.symbols.offset(r.outcome)
        before = store[offset + units].copy()
        after = before + np.linspace(-0.4, 0.7, n)
        base = values_of(planned, store)
        whole = vector(planned, store, r.outcome).copy()
        np.testing.assert_allclose(base.left(r.number, whole)[units], current, rtol=1e-9, atol=1e-12)
        whole[units] = after
        target, found = row[p.CELL_SCALE] + 3 + n, []
        for proposals in (current, base.left(r.number, whole)[units]):
            store[row[p.CELL_PROPOSALS] : row[p.CELL_PROPOSALS] + n] = proposals
            log_densities(planned.plan, store, row, target)
            found.append(store[target : target + n].copy())
        for i, unit in enumerate(units):
            store[offset + unit] = after[i]
            joint = base.log_joint([]) - base.log_slope(r.number)[unit]  # of what is in the store
            store[offset + unit] = before[i]
            joint -= base.log_joint([]) - base.log_slope(r.number)[unit]
            np.testing.assert_allclose(found[1][i] - found[0][i], joint, rtol=1e-7, atol=1e-7)


def test_transformed_values_and_their_inverses_are_published():
    """After the step value and transform belong together, and where there is no value nothing was accepted."""
    for name in ("Yeo-Johnson, predictor", "square root, predictor"):
        planned = PLANS[name]
        (number,) = steps_of(planned, p.STEP_CELLS)
        running = Running.start(planned, sweeps=3)
        r = next(r for r in planned.regressions.outcomes if r.transformation is not None)
        start = vector(planned, running.store, r.outcome).copy()
        for step in range(number + 2):  # its last instructions are a step of their own
            running.step(step)
        value = vector(planned, running.store, r.outcome)
        assert (value != start).sum() > 0.2 * planned.model.variables[r.equation.outcome].missing.sum()
        left = values_of(planned, running.store).left(r.number, value)
        np.testing.assert_allclose(left, vector(planned, running.store, r.left), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in PLANS if "codes of clusters" in n or "probabilities" in n])
def test_centres_of_clusters_are_published(name):
    """What an ordinal predictor is centred at follows its latent cluster means."""
    planned = PLANS[name]
    running = Running.start(planned, sweeps=3)
    share = Atom("share", "b", 2)
    last = steps_of(planned, p.STEP_CELLS)[-1]
    for number in range(last + 1):
        running.step(number)
    vector(planned, running.store, share)[:] = np.nan
    running.step(last + 1)
    found = vector(planned, running.store, share)
    values = values_of(planned, running.store)
    np.testing.assert_allclose(found, values.expected_code("b", 2), rtol=1e-9)
    if len(planned.model.variables["b"].codes) == 2:
        np.testing.assert_allclose(found, stats.norm.cdf(values.means["b", 2]), rtol=1e-9)


@pytest.mark.parametrize("name", [n for n in PLANS if "expected codes" in n])
def test_thresholds_that_centres_follow_target_the_joint_density(name):
    """Categories given the response's mean, and all equations that are centred at expected codes."""
    planned = PLANS[name]
    part = next(part for part in planned.regressions.predictors if part.variable == "b" and part.cuts >= 0)
    rows = planned.plan.newtons
    (row,) = (row for row in rows if row[p.NEWTON_EXTRA] == part.cuts and row[p.NEWTON_EXTRAS])
    number = next(
        s for s in steps_of(planned, p.STEP_NEWTON) if (rows[planned.plan.steps[s, 1]] == row).all()
    )
    running = at_step(planned, number)
    theta, tau, scratch = (np.zeros(row[p.NEWTON_SIZE] + 8) for _ in range(3))
    read_parameters(planned.plan, running.store, row, theta)
    used = row[p.NEWTON_SIZE] + row[p.NEWTON_EXTRAS]
    rng = np.random.default_rng(8)
    found, expected, outcomes = [], [], []
    for _ in range(4):
        moved = theta.copy()
        moved[:used] += 0.2 * rng.normal(size=used)
        found.append(newton_value(planned.plan, running.store, row, moved, tau, scratch))
        store = running.store.copy()
        write_parameters(planned.plan, store, row, moved)
        values = values_of(planned, store)
        outcomes.append(values.log_outcomes())
        total = outcomes[-1] + log_categories(values, "b") + moved[row[p.NEWTON_SIZE] : used].sum()
        total += naive.log_normal(np.asarray(values.slopes["b", 0]), 0.0, 5.0)
        expected.append(total)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-7, atol=1e-7)
    assert np.abs(np.diff(outcomes)).min() > 1e-3  # the equations count
    for step in range(number, number + 3):  # instructions after the step
        running.step(step)
    values = values_of(planned, running.store)
    np.testing.assert_allclose(
        vector(planned, running.store, Atom("share", "b", 2)), values.expected_code("b", 2), rtol=1e-12
    )


def log_categories(values: naive.Values, name: str) -> float:
    """Log probability of an ordinal predictor's categories given the means of its latent responses."""
    mean = values.predictor_mean(name, 0)
    codes = sorted(values.model.variables[name].codes)
    ends = np.concatenate([[-np.inf], values.predictor_cuts[name], [np.inf]])
    place = np.searchsorted(codes, values.data[name])
    return float(np.log(stats.norm.cdf(ends[place + 1] - mean) - stats.norm.cdf(ends[place] - mean)).sum())


def cell_symbol(planned, store, current, n):
    """What a step's values are: missing ones of a variable or of a transformed outcome, or means of a predictor."""
    for r in planned.regressions.outcomes:
        missing = planned.model.variables[r.equation.outcome].missing
        if r.transformation is not None and missing.sum() == n and r.active.all():
            if np.array_equal(vector(planned, store, r.left)[missing], current):
                return r.left
    for atom in planned.symbols.place:
        if atom.kind == "value":
            missing = planned.model.variables[atom.name].missing
            if missing.sum() == n and np.array_equal(vector(planned, store, atom)[missing], current):
                return atom
        if atom.kind in ("mean", "grand") and np.array_equal(vector(planned, store, atom), current):
            return atom
    raise KeyError("no variable has these values")


@pytest.mark.parametrize("name", having(p.STEP_RESPONSES))
def test_responses_target_the_joint_density(name):
    """Means of latent responses, and evidence for the codes of each missing category."""
    planned = PLANS[name]
    for number in steps_of(planned, p.STEP_RESPONSES):
        running = at_step(planned, number)
        row = planned.plan.responses[planned.plan.steps[number, 1]]
        store = running.store
        symbol = next(a for a in planned.symbols.place if planned.symbols.place[a] == row[p.RESPONSE_VALUE])
        values = values_of(planned, store)
        n = row[p.RESPONSE_UNITS]
        means = store[row[p.RESPONSE_MEAN] : row[p.RESPONSE_MEAN] + n]
        outcome = next((r for r in planned.regressions.outcomes if r.left == symbol), None)
        if outcome is None:
            expected = values.predictor_mean(symbol.name, 0)
        else:
            expected = values.fitted(outcome.planned.source, outcome.planned.category)
        np.testing.assert_allclose(means, expected, rtol=1e-9, atol=1e-10)
        if not row[p.RESPONSE_CELL_COUNT]:
            continue
        variable = planned.model.variables[symbol.name if outcome is None else outcome.equation.outcome]
        for k, unit in enumerate(np.flatnonzero(variable.missing)):
            log_density = []
            for code in variable.codes:
                changed = values.data[variable.name].copy()
                changed[unit] = code
                values.data = {**values.data, variable.name: changed}
                log_density.append(values.log_outcomes())
            cells = row[p.RESPONSE_CELL_COUNT]
            places = row[p.RESPONSE_EVIDENCE] + k + cells * np.arange(len(variable.codes))
            given = row[p.RESPONSE_EVIDENCE] >= 0  # else no other equation holds the variable
            evidence = np.diff(store[places]) if given else np.zeros(len(variable.codes) - 1)
            np.testing.assert_allclose(evidence, np.diff(log_density), rtol=1e-7, atol=1e-8)
        assert planned.plan.index[row[p.RESPONSE_CELLS] :][: row[p.RESPONSE_CELL_COUNT]].tolist() == (
            np.flatnonzero(variable.missing).tolist()
        )


@pytest.mark.parametrize("name", having(p.STEP_NOMINAL))
def test_categories_target_the_joint_density(name):
    """Means of the responses of nominal variables, evidence for the codes of missing ones, codes that are drawn."""
    planned = PLANS[name]
    for number in steps_of(planned, p.STEP_NOMINAL):
        running = at_step(planned, number)
        plan, store = planned.plan, running.store
        row = plan.nominals[plan.steps[number, 1]]
        symbol = next(
            a
            for a in planned.symbols.place
            if a.kind == "value" and planned.symbols.place[a] == row[p.NOMINAL_NUMBER]
        )
        variable = planned.model.variables[symbol.name]
        values = values_of(planned, store)
        codes = [code for code in variable.codes if code != variable.reference]
        source = next((k for k, e in enumerate(planned.model.equations) if e.outcome == variable.name), None)
        for k, code in enumerate(codes):
            offset = plan.index[row[p.NOMINAL_MEANS] + k]
            means = store[offset : offset + row[p.NOMINAL_UNITS]]
            name_of_code = f"{variable.name}.{code}"
            expected = (
                values.predictor_mean(name_of_code, 0) if source is None else values.fitted(source, code)
            )
            np.testing.assert_allclose(means, expected, rtol=1e-9, atol=1e-10)
        cells = row[p.NOMINAL_CELL_COUNT]
        units = np.flatnonzero(variable.missing)
        assert plan.index[row[p.NOMINAL_CELLS] :][:cells].tolist() == units.tolist()
        own = dict(values.active)
        if source is not None:
            values.active[source] = np.zeros_like(values.active[source])  # the others alone are evidence
        for k, unit in enumerate(units):
            log_density = []
            for code in (variable.reference, *codes):
                changed = values.data[symbol.name].copy()
                changed[unit] = code
                values.data = {**values.data, symbol.name: changed}
                log_density.append(values.log_outcomes())
            places = row[p.NOMINAL_EVIDENCE] + k + cells * np.arange(len(variable.codes))
            given = row[p.NOMINAL_EVIDENCE] >= 0  # else no other equation holds the variable
            evidence = np.diff(store[places]) if given else np.zeros(len(codes))
            np.testing.assert_allclose(evidence, np.diff(log_density), rtol=1e-7, atol=1e-8)
        values.active = own
        running.step(number)
        drawn = values_of(planned, running.store)
        found = drawn.data[variable.name]
        assert set(np.unique(found)) <= set(variable.codes)
        np.testing.assert_array_equal(found[~variable.missing], variable.values[~variable.missing])
        if source is None:  # the category is that of the largest response
            responses = np.stack([drawn.responses[f"{variable.name}.{code}"] for code in codes])
            labels = np.array([variable.reference, *codes])
            largest = np.vstack([np.zeros(responses.shape[1]), responses]).argmax(axis=0)
            np.testing.assert_array_equal(labels[largest], found)


@pytest.mark.parametrize("name", having(p.STEP_PARAMETER))
def test_parameters_target_the_joint_density(name):
    """Moving a parameter changes the step's log density as the joint one, or as its integral over the block."""
    planned = PLANS[name]
    blocks = {block.number: block for block in planned.blocks}
    for number in steps_of(planned, p.STEP_PARAMETER):
        running = at_step(planned, number)
        row = planned.plan.parameters[planned.plan.steps[number, 1]]
        store = running.store
        current = store[row[p.PARAMETER_TARGET]]
        found, expected = [], []
        prior = store[row[p.PARAMETER_PRIOR] : row[p.PARAMETER_PRIOR] + 4]
        for value in np.clip([current, current + 0.1, current - 0.07], prior[2] + 1e-3, prior[3] - 1e-3):
            found.append(log_density(planned.plan, store, row, value, running.work))
            assert store[row[p.PARAMETER_TARGET]] == value
            values = values_of(planned, store)
            if row[p.PARAMETER_BLOCK] < 0:
                expected.append(values.log_joint([]))
            else:
                dense = Dense(planned, store.copy(), blocks[row[p.PARAMETER_BLOCK]])
                expected.append(-0.5 * dense.collapsed() + values.log_priors())
                expected[-1] += log_of_transformed(planned, store, row, values)
        np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-7, atol=1e-7)
        for outside in (prior[2] - 1e-9, prior[3] + 1e-9):
            if np.isfinite(outside):
                assert log_density(planned.plan, store, row, outside, running.work) == -np.inf


def log_of_transformed(planned, store, row, values) -> float:
    """What the power of a transformed outcome adds: the Jacobian, and the density of scales that move along.

    Residual precisions to the power n / 2, priors of variances and matrices, and the Jacobians to their scale.
    """
    symbol = next(a for a, place in planned.symbols.place.items() if place == row[p.PARAMETER_TARGET])
    total = 0.0
    for r in planned.regressions.outcomes:
        if r.transformation is None or r.transformation.power != symbol:
            continue
        total += float(values.log_slope(r.number)[r.active].sum())
        variance = 1.0 / store[r.precision]
        prior = planned.model.parameters[r.equation.residual].prior
        a, b = prior.arguments or (-1.0, 0.0)
        total += naive.log_inverse_gamma(variance, a, b) + np.log(variance)
        total -= 0.5 * r.active.sum() * np.log(variance)
        for group, factor in zip(r.equation.random, r.factors, strict=True):
            size = len(group.terms)
            lower = np.zeros((size, size))
            lower[np.tril_indices(size)] = store[factor : factor + size * (size + 1) // 2]
            total += naive.log_prior_of_factor(lower, *group.prior.arguments)
            total += 0.5 * size * (size + 1) * np.log(lower[0, 0])
    return total


def test_scales_move_along_with_the_power():
    """Standard deviations of residuals and random effects by the geometric mean of the derivative."""
    planned = PLANS["Yeo-Johnson, clusters"]
    (number,) = steps_of(planned, p.STEP_PARAMETER)
    running = at_step(planned, number)
    row = planned.plan.parameters[planned.plan.steps[number, 1]]
    (r,) = planned.regressions.outcomes
    store, places = running.store, np.arange(r.factors[0], r.factors[0] + 3)
    mean, scales = [], []
    for value in (0.6, 0.9):
        log_density(planned.plan, store, row, value, running.work)
        mean.append(values_of(planned, store).log_slope(0)[r.active].mean())
        scales.append(np.array([store[r.precision] ** -0.5, *store[places]]))
    np.testing.assert_allclose(scales[1] / scales[0], np.exp(mean[1] - mean[0]), rtol=1e-7)


def modulator_symbol(planned, store, row):
    """The symbol that a step on a log variance draws, and its units."""
    n, values = row[p.MODULATOR_UNITS], row[p.MODULATOR_VALUES]
    for atom in planned.symbols.place:
        if atom.kind in ("value", "mean", "grand", "effect") and planned.symbols.is_dynamic(atom):
            units = np.arange(planned.symbols.units(atom.level))
            if atom.kind == "value":
                units = np.flatnonzero(planned.model.variables[atom.name].missing)
            if units.size == n and (vector(planned, store, atom)[units] == store[values : values + n]).all():
                return atom, units
    raise KeyError("no symbol has these values")


@pytest.mark.parametrize("name", having(p.STEP_MODULATOR))
def test_what_a_log_variance_depends_on_targets_the_joint_density(name):
    """Changing the unknown of one unit changes the log density that the step gives to it as it does the joint one."""
    planned = PLANS[name]
    tables = planned.plan.modulated, planned.plan.modulated_pairs, planned.plan.sets, planned.plan.index
    d = np.zeros(4)
    for number in steps_of(planned, p.STEP_MODULATOR):
        running = at_step(planned, number)
        row = planned.plan.modulators[planned.plan.steps[number, 1]]
        store = running.store
        atom, units = modulator_symbol(planned, store, row)
        predictors = [m.variable for m in planned.model.predictor_models if m.variable == atom.name]
        base = values_of(planned, store).log_joint(predictors)
        for k, unit in enumerate(units):
            now = store[row[p.MODULATOR_VALUES] + k]
            found = []
            for u in (now, now + 0.4):
                modulated_terms(*tables, store, row, k, u, d)
                precision, linear = store[row[p.MODULATOR_PRECISION] + k], store[row[p.MODULATOR_LINEAR] + k]
                found.append(d[0] + linear * u - 0.5 * precision * u * u)
            store[planned.symbols.offset(atom) + unit] = now + 0.4
            joint = values_of(planned, store).log_joint(predictors)
            store[planned.symbols.offset(atom) + unit] = now
            np.testing.assert_allclose(found[1] - found[0], joint - base, rtol=1e-7, atol=1e-7)
            slope = d[1]
            below, above = np.zeros(4), np.zeros(4)
            modulated_terms(*tables, store, row, k, now + 0.4 - 1e-5, below)
            modulated_terms(*tables, store, row, k, now + 0.4 + 1e-5, above)
            np.testing.assert_allclose((above[0] - below[0]) / 2e-5, slope, rtol=1e-5, atol=1e-5)


def spread_of_latents(values) -> float:
    """Log density that the standard deviation of a latent log variance has beside what its equation tells.

    Latent values move with it: their density contains the Jacobian n log s; flat on the variance is s on s, flat on a
    matrix of p of them s^p.
    """
    total = 0.0
    for k, equation in enumerate(values.model.equations):
        used = [e for e in values.model.equations if e.distribution.name == "LOG_VARIANCE"]
        names = {r.variable for e in used for t in e.terms for r in references(t.expression)}
        if equation.outcome in names and values.model.variables[equation.outcome].role.name == "LATENT":
            s = np.sqrt(values.coefficient(equation.residual))
            size = next((len(members) for members in values.covariances if k in members), 1)
            total += (values.data[equation.outcome].size + size) * np.log(s)
    return total


def variance_newtons() -> list[str]:
    return [
        name
        for name, planned in PLANS.items()
        if (planned.plan.newtons[:, p.NEWTON_FAMILY] == p.NEWTON_VARIANCE).any()
    ]


@pytest.mark.parametrize("name", variance_newtons())
def test_coefficients_of_log_variances_target_the_joint_density(name):
    """Also means and standard deviations of random log variances, which take the log variances along."""
    planned = PLANS[name]
    for number in steps_of(planned, p.STEP_NEWTON):
        running = at_step(planned, number)
        plan, row = planned.plan, planned.plan.newtons[planned.plan.steps[number, 1]]
        if row[p.NEWTON_FAMILY] != p.NEWTON_VARIANCE:
            continue
        theta, tau, scratch = (np.zeros(row[p.NEWTON_SIZE] + 3) for _ in range(3))
        read_parameters(plan, running.store, row, theta)
        rng = np.random.default_rng(8)
        found, expected = [], []
        for k in range(3):
            moved = theta + (0.1 * np.abs(rng.normal(size=theta.size)) if k else 0.0)
            found.append(newton_value(plan, running.store, row, moved, tau, scratch))
            copy = running.copy()
            write_parameters(plan, copy.store, row, moved)
            after = number + 1
            while after < len(plan.steps) and plan.steps[after, 0] == p.STEP_PROGRAM:
                copy.step(after)
                after += 1
            values = values_of(planned, copy.store)
            total = values.log_joint([]) + spread_of_latents(values)
            for key, matrix in values.matrices.items():
                if values.model.equations[key[0]].distribution.name == "LOG_VARIANCE":
                    factor = np.linalg.cholesky(matrix[::-1, ::-1])
                    prior = naive.log_prior_of_factor(factor, -len(factor) - 1.0, 0.0)
                    # effects move with their matrix: the Jacobian of L u
                    units = next(iter(values.effects[key])).size
                    total += prior + units * np.linalg.slogdet(factor)[1]
            expected.append(total)
            for r in planned.regressions.log_variances:  # the root is that of the new log variance
                location = planned.regressions.modelled_by(r)
                number_of = planned.regressions.outcomes.index(location)
                np.testing.assert_allclose(
                    vector(planned, copy.store, location.root) ** -2.0, values.variance(number_of), rtol=1e-9
                )
        np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-7, atol=1e-7)


def test_covariance_matrix_moves_with_a_latent_log_variance():
    """A new standard deviation keeps correlations; factor and inverse of the matrix stay those of one matrix."""
    text = "LATENT: g = u l; MODEL: u ~ 1; l ~ 1 w; y ~ 1@u x; var(y) ~ 1@l z; u ~~ l;"
    planned = plan_of("DATA: toy.dat; MISSING: NA; CLUSTERID: g; FIXED: z w; " + text, two_level())
    (number,) = steps_of(planned, p.STEP_NEWTON)
    running = at_step(planned, number, sweeps=5)
    (c,) = planned.regressions.covariances
    row = planned.plan.newtons[planned.plan.steps[number, 1]]
    first = planned.plan.index[row[p.NEWTON_GROUPS] + 1]
    place = planned.plan.index[row[p.NEWTON_VALUES] + first]
    old = _matrix(running.store, c)
    running.store[place] *= 1.7
    running.step(number + 1)
    running.step(number + 2)
    new = _matrix(running.store, c)
    latent = [planned.regressions.outcomes[k].equation.outcome for k in c.members].index("l")
    scale = np.where(np.arange(2) == latent, 1.7, 1.0)
    np.testing.assert_allclose(new, old * np.outer(scale, scale), rtol=1e-10)
    inverse = running.store[c.precision : c.precision + 3]
    np.testing.assert_allclose(inverse, np.linalg.inv(new)[np.tril_indices(2)], rtol=1e-8)


def _matrix(store, c):
    factor = np.zeros((2, 2))
    factor[np.tril_indices(2)] = store[c.factor : c.factor + 3]
    return factor @ factor.T


@pytest.mark.parametrize("name", having(p.STEP_CLUSTER_VARIANCES))
def test_population_of_cluster_variances(name):
    """The step's density of centre and index is the integral over the variances, cluster by cluster."""
    planned = PLANS[name]
    running = Running.start(planned, sweeps=3)
    row = planned.plan.cluster_variances[0]
    store, units = running.store, row[p.CLUSTER_UNITS]
    squares = store[row[p.CLUSTER_SQUARES] : row[p.CLUSTER_SQUARES] + units]
    counts = store[row[p.CLUSTER_COUNTS] : row[p.CLUSTER_COUNTS] + units]
    values = values_of(planned, store)
    r = next(r for r in planned.regressions.outcomes if r.population >= 0)
    residual = (values.data[r.equation.outcome] - values.fitted(r.number)) * r.active
    parents = planned.model.hierarchy.ancestors(1, 2)
    np.testing.assert_allclose(counts, np.bincount(parents, r.active))
    np.testing.assert_allclose(squares, np.bincount(parents, residual**2), rtol=1e-6)
    found, expected = [], []
    for centre, index in ((1.0, 0.3), (1.4, 0.3), (0.8, 0.6)):
        found.append(log_population(store, row, np.log(centre), np.log(index)))
        x = 0.5 / index
        total = np.log(centre) + np.log(index)
        for n, s in zip(counts, squares, strict=True):

            def density(v, n=n, s=s, x=x, centre=centre):
                stirling = 0.5 * np.log(2.0 * np.pi / x) + x * (np.log(x) - 1.0)
                log = x * np.log(x * centre) - stirling - (x + 1.0 + 0.5 * n) * np.log(v)
                return np.exp(log - (x * centre + 0.5 * s) / v)

            total += np.log(integrate.quad(density, 0.0, np.inf, epsabs=0.0, epsrel=1e-10)[0])
        expected.append(total)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-7, atol=1e-7)


def test_a_parameter_in_equations_that_covary():
    """The step given everything else counts the cross terms of residuals that are correlated (`~~`)."""
    text = (
        "DATA: toy.dat; MISSING: NA; MODEL: y ~ z@l1 x@l2; m ~ x@l3 w@l4; y ~~ m; PARAMETERS: l3 = exp(l1);"
    )
    planned = plan_of(
        text + "l2 ~ truncate(-5, 5); l4 ~ truncate(-5, 5); l1 ~ normal(0, 1);", holed(two_level, ("y", "x"))
    )
    (number,) = steps_of(planned, p.STEP_PARAMETER)
    running = at_step(planned, number)
    row = planned.plan.parameters[planned.plan.steps[number, 1]]
    assert row[p.PARAMETER_BLOCK] < 0
    block = next(b for b in planned.blocks if len(b.residuals) == 2 and b.couplings)
    store = running.store
    found, expected = [], []
    for value in (0.2, -0.1, 0.5):
        found.append(log_density(planned.plan, store, row, value, running.work))
        dense = Dense(planned, store.copy(), block)
        first, second = (dense.residual(e, {}) * block.residuals[e].active for e in range(2))
        (pair,) = block.couplings
        total = (
            store[block.residuals[0].precision] * first @ first
            + store[block.residuals[1].precision] * second @ second
        )
        total += 2.0 * store[pair.precision] * first @ second
        assert store[pair.precision] != 0.0
        expected.append(-0.5 * (total + value**2))
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-9)


def test_both_forms_of_the_parameter_step_are_tested():
    rows = np.concatenate([PLANS[name].plan.parameters for name in having(p.STEP_PARAMETER)])
    assert (rows[:, p.PARAMETER_BLOCK] < 0).any()
    assert (rows[:, p.PARAMETER_BLOCK] >= 0).any()


def test_chain_of_the_joint_predictor_model_is_an_inverse_wishart():
    """IG((k + 1) / 2, 1 / 2) for residual variances and N(0, residual variance) for slopes make IW(p + 1, I)."""
    rng = np.random.default_rng(2)
    ratios = []
    for _ in range(3):
        a = rng.normal(size=(3, 5))
        s = a @ a.T
        total = naive.log_inverse_wishart(s, 4, np.eye(3))
        for k in range(3):
            slopes = np.linalg.solve(s[:k, :k], s[:k, k])
            variance = s[k, k] - s[k, :k] @ slopes
            total -= naive.log_inverse_gamma(variance, 0.5 * (k + 2), 0.5)
            total -= naive.log_normal(slopes, 0.0, variance)
            total += np.linalg.slogdet(s[:k, :k])[1]  # Jacobian of (slopes, variance) in column k
        ratios.append(total)
    np.testing.assert_allclose(ratios, 0.0, atol=1e-9)  # both are normalised


def test_a_variance_of_random_effects_has_the_prior_of_its_label():
    text = "DATA: t; CLUSTERID: g; FIXED: x; MODEL: y ~ x | 1@v; PARAMETERS: v ~ ig(2, 3);"
    planned = plan_of(text, two_level())
    place = planned.plan.groups[0, p.GROUP_DF]
    assert planned.store[place : place + 2].tolist() == [4.0, 6.0]
