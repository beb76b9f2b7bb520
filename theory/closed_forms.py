r"""`closed_form`: the test error of a pipeline as a SymPy expression.

On one eigenvalue s with d directions and signal energy θ = ‖w0‖² every predictor has one mean ratio a (E w = a w0)
and one covariance V per direction with every other predictor, and the steps of a pipeline are algebra:

    fit      p = s/(s+κ),  a' = p a,  V' = p² V + v s/(s+κ)²,
             v = [s (1−p)² (a² θ + d V) + σ²] / (T − d p²);
    n fits   the same recursion solved for symbolic n: with A = p² + s d (1−p)² g, g = s/((s+κ)²(T − d p²)),
             V_n = Aⁿ V_0 + g σ² (1−Aⁿ)/(1−A) + g s (1−p)² θ a_0² (Aⁿ − p²ⁿ)/(A − p²);
    κ        the root of κ − λ = κ d s/((s+κ) T):  κ = ½[λ + (d/T − 1)s + √((λ + (d/T − 1)s)² + 4λs)];
             least squares (T > d) κ = 0, minimum norm (T < d) κ = s(d/T − 1).

Several sources with the same inputs and weights are one source of T = Σ T_g rows whose labels differ.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelcollapse.theory.expressions import exact, plain_sum, tidy
from modelcollapse.theory.pipelines import Model
from modelcollapse.theory.pipelines.reading import read
from modelcollapse.theory.pipelines.steps import (
    AccumulateStep,
    ChainStep,
    FitStep,
    MixtureStep,
    SgdStep,
    SurrogateStep,
    TruthStep,
)
from modelcollapse.theory.populations.spectrum import Spectrum
from modelcollapse.theory.populations.spectrum_inputs import shifted_eigenvalues

__all__ = ["closed_form", "effective_ridges"]


def closed_form(model: Model, *, finite_size: bool = False, in_terms_of: str = "ridge") -> Any:
    """The test error of a pipeline on an isotropic spectrum, any of whose numbers may be symbols.

    Parameters
    ----------
    model : Model on a spectrum of one eigenvalue, without arrays
    finite_size : bool
        True: least-squares fits with T > d + 1 take the exact inverse-Wishart mean, T − d − 1 for T − d.
    in_terms_of : "ridge" or "effective_ridge"
        "effective_ridge" leaves the κ of each fit with a ridge as a symbol (`effective_ridges` says which is which),
        which keeps long pipelines readable.

    Returns
    -------
    A SymPy expression: the deterministic equivalent. A fit with ridge 0 whose samples and dim are not both numbers
    is read as least squares, T > d, unless the assumptions of the symbols decide T < d. Integers and SymPy
    numbers stay exact, 0.1 is read as 1/10.

    Raises
    ------
    ValueError for spectra of several eigenvalues, arrays, and sources whose weights or inputs differ (their
    equation has no closed form in general): use `predict`.

    Examples
    --------
    E_clean + n·Δ for least squares, and what one generation adds:

    >>> import sympy, modelcollapse as mc
    >>> T, T0, d, sigma, sigma0 = sympy.symbols("T T_0 d sigma sigma_0", positive=True)
    >>> n = sympy.Symbol("n", integer=True, nonnegative=True)
    >>> w0 = mc.truth(mc.isotropic(d))
    >>> error = closed_form(mc.fit(mc.chain(w0, n, T0, sigma0).label(T, sigma)))
    >>> sympy.simplify(error - sigma**2 * d / (T - d) - n * sigma0**2 * d / (T0 - d))
    0
    """
    if in_terms_of not in ("ridge", "effective_ridge"):
        raise ValueError(f"in_terms_of = {in_terms_of!r} is neither 'ridge' nor 'effective_ridge'; give one of them")
    expression, ridges = _read(model, finite_size)
    return expression if in_terms_of == "effective_ridge" else expression.subs(ridges)


def effective_ridges(model: Model) -> dict:
    """The symbols κ that `closed_form(model, in_terms_of="effective_ridge")` uses, each with its closed form.

    >>> import sympy, modelcollapse as mc
    >>> lam = sympy.Symbol("lambda", positive=True)
    >>> model = mc.fit(mc.truth(mc.isotropic(100)).label(100), ridge=lam)
    >>> [(kappa, root)] = effective_ridges(model).items()
    >>> sympy.simplify(root - lam - root / (1 + root))
    0
    """
    return _read(model, False)[1]


@dataclass
class _Setting:
    """One eigenvalue s with d directions, the energy θ, and the κ that were met."""

    eigenvalue: Any
    dim: Any
    signal: Any
    finite_size: bool
    taken: frozenset
    ridges: dict = field(default_factory=dict)

    def kappa(self, samples, ridge):
        """κ of a fit, a symbol if it has a ridge; and whether the fit is least squares."""
        import sympy

        s, d = self.eigenvalue, self.dim
        if ridge == 0:
            if (samples - d).is_negative:
                return s * (d / samples - 1), False
            return sympy.Integer(0), True
        if ridge == sympy.oo:
            return sympy.oo, False
        shift = ridge + (d / samples - 1) * s
        root = (shift + sympy.sqrt(sympy.factor(shift**2 + 4 * ridge * s))) / 2
        for symbol, known in self.ridges.items():
            if known == root:
                return symbol, False
        names = (name for i in range(10**6) if (name := "kappa" if i == 0 else f"kappa_{i}") not in self.taken)
        symbol = next(s for name in names if (s := sympy.Symbol(name, positive=True)) not in self.ridges)
        self.ridges[symbol] = root
        return symbol, False

    def spare(self, samples, learned, least_squares):
        """T − df_2, or its exact form for least squares."""
        import sympy

        rest = samples - self.dim * learned**2
        if not (self.finite_size and least_squares):
            return rest
        if rest.is_number:
            return sympy.Max(rest - 1, 0)
        return rest - 1


@dataclass
class _Fitted:
    """p, 1 − p, and g of a fit: added variance per unit of risk."""

    learned: Any
    null: Any
    gain: Any


def _read(model, finite_size):
    import sympy

    reading = read(model)
    setting = _setting(model, finite_size)
    numbers = [exact(name, value) for name, value, _ in reading.leaves]
    mean, covariance = {}, {}

    def joint(i, k):
        return covariance.get((max(i, k), min(i, k)), sympy.Integer(0))

    for i, (step, node) in enumerate(zip(reading.filled(numbers), reading.nodes, strict=True)):
        if isinstance(step, TruthStep):
            mean[i] = sympy.Integer(1)
            continue
        weights, mean[i], variance = _STEPS[type(step)](setting, node, step, mean, joint)
        for k in reading.schedule.pairs[i]:
            covariance[i, k] = tidy(
                variance if k == i else sum(w * joint(p, k) for w, p in zip(weights, step.parents, strict=True))
            )
    last = len(reading.steps) - 1
    error = setting.eigenvalue * ((1 - mean[last]) ** 2 * setting.signal + setting.dim * joint(last, last))
    return tidy(error), setting.ridges


def _setting(model, finite_size):
    spectrum = model.spectrum
    if not isinstance(spectrum, Spectrum):
        raise ValueError(
            f"a population of {spectrum.noun} has no closed form in symbols, its error depends on a whole matrix; "
            "use mc.predict, or mc.isotropic for a formula"
        )
    if spectrum.kind[0] == "isotropic":
        dim, signal = (exact(name, value) for name, value in zip(("dim", "signal"), spectrum.leaves, strict=True))
        eigenvalue = exact("eigenvalue", 1)
    else:
        sizes = {np.size(value) for value in spectrum.leaves}
        if spectrum.kind[0] == "power_law" or sizes != {1} or len(spectrum.leaves) != 3:
            raise ValueError(
                f"{spectrum!r} has several eigenvalues and no closed form; use mc.isotropic, or mc.predict"
            )
        eigenvalue, signal, dim = (
            exact("atom", value.item() if isinstance(value, np.ndarray) else value) for value in spectrum.leaves
        )
    taken = frozenset(map(str, model.free))
    return _Setting(eigenvalue, dim, signal, finite_size, taken)


def _fitted(setting, eigenvalue, samples, ridge):
    """p, 1 − p, g of a fit on inputs with one eigenvalue."""
    import sympy

    inside = _Setting(eigenvalue, setting.dim, setting.signal, setting.finite_size, setting.taken, setting.ridges)
    kappa, least_squares = inside.kappa(samples, ridge)
    if kappa == sympy.oo:
        return _Fitted(sympy.Integer(0), sympy.Integer(1), sympy.Integer(0))
    learned, null = eigenvalue / (eigenvalue + kappa), kappa / (eigenvalue + kappa)
    spare = tidy(inside.spare(samples, learned, least_squares))
    return _Fitted(tidy(learned), tidy(null), eigenvalue / ((eigenvalue + kappa) ** 2 * spare))


def _noise(gain, risk) -> Any:
    """gain · risk where the gain may be infinite (T = d without ridge): nothing is added where there is no risk."""
    return risk if risk == 0 else gain * risk


def _pooled(setting, node, step):
    """Shares of the sources in the rows that count, these rows, the eigenvalue of the inputs and the common weight."""
    import sympy

    sources = step.sources
    if any(source.link is not None for source in sources):
        linked = next(source.link for source in node.sources if source.link is not None)
        raise ValueError(f"link = {linked!r} in a fit has no closed form in symbols here; use mc.predict")
    if step.judges:
        raise ValueError("keep= in a fit has no closed form in symbols here; use mc.predict")
    rows, weights = ([getattr(source, name) for source in sources] for name in ("samples", "weight"))
    kept = [g for g in range(len(sources)) if rows[g] != 0 and weights[g] != 0]
    inputs = [_input(setting, source) for source in node.sources]
    if len({weights[g] for g in kept}) > 1 or len({inputs[g] for g in kept}) > 1:
        raise ValueError(
            "sources of one fit differ in weight or inputs: their effective ridge has no closed form in "
            "general; use mc.predict, or give them equal weights and inputs"
        )
    samples = plain_sum(rows[g] for g in kept)
    share = [rows[g] / samples if g in kept else sympy.Integer(0) for g in range(len(sources))]
    return share, samples, inputs[kept[0]], weights[kept[0]]


def _fit(setting, node, step, mean, joint):
    if not step.plain:
        trained = f"filter = {node.filter!r}" if node.filter is not None else f"features = {node.features}"
        raise ValueError(f"{trained} in a fit has no closed form in symbols here; use mc.predict, or a ridge")
    parents, sources = step.parents, step.sources
    share, samples, s, weight = _pooled(setting, node, step)
    fitted = _fitted(setting, s, samples, step.ridge / weight)
    weights = [fitted.learned * part for part in share]
    apart = [[weights[h] - (1 if h == g else 0) for h in range(len(parents))] for g in range(len(parents))]
    means = [sum(c * mean[p] for c, p in zip(row, parents, strict=True)) for row in apart]
    risks = [s * tidy(m) ** 2 * setting.signal + source.noise**2 for m, source in zip(means, sources, strict=True)]
    fixed = sum(p * risk for p, risk in zip(share, risks, strict=True))
    variance = _noise(fitted.gain, tidy(fixed))
    for h, p in enumerate(parents):
        for k, q in enumerate(parents[: h + 1]):
            if joint(p, q) != 0:
                risk = s * setting.dim * sum(p * row[h] * row[k] for p, row in zip(share, apart, strict=True))
                kept_part = weights[h] * weights[k] + _noise(fitted.gain, tidy(risk))
                variance += (1 if h == k else 2) * tidy(kept_part) * joint(p, q)
    m = sum(w * mean[p] for w, p in zip(weights, parents, strict=True))
    return weights, tidy(m), variance


def _sgd(setting, node, step, mean, joint):
    """(1), (2) and (4) of `numerics.steps.sgd` on one eigenvalue: the sum over its directions follows one number, λ."""
    share, samples, s, weight = _pooled(setting, node, step)
    if any(source.weight == 0 and source.samples != 0 for source in step.sources):
        raise ValueError("weight = 0 in a pass of SGD, which would see these rows in vain; leave the source out")
    length, batch = step.filter.values
    pulled, directions, parents = length * weight * s, setting.dim, step.parents
    gap = pulled * (2 - pulled * (1 + (directions + 1) / batch))  # 1 − λ
    if gap.is_nonpositive:
        raise ValueError(
            f"step = {node.filter.step} is unstable with batch = {node.filter.batch}: give a step below "
            f"{2 * batch / (directions + batch + 1) / s / weight} = 2B/((d + B + 1) s)"
        )

    def energy(coefficients):
        m = tidy(sum(c * mean[p] for c, p in zip(coefficients, parents, strict=True)))
        terms = [(c, p) for c, p in zip(coefficients, parents, strict=True) if c != 0]
        variance = sum(c * e * joint(p, q) for c, p in terms for e, q in terms)
        return s * (m**2 * setting.signal + directions * tidy(variance)), variance

    labels, variance = energy(share)
    apart = [[(1 if h == g else 0) - p for h, p in enumerate(share)] for g in range(len(parents))]
    scatter = sum(p * energy(row)[0] for p, row in zip(share, apart, strict=True))
    noise = sum(p * source.noise**2 for p, source in zip(share, step.sources, strict=True))
    steps = samples / batch
    left, grown = (1 - pulled) ** steps, (1 - gap) ** steps
    fresh = pulled**2 / batch * (directions * (noise + scatter) + 2 * scatter) * (1 - grown) / gap
    added = (grown - left**2) * labels + fresh
    weights = [(1 - left) * p for p in share]
    m = sum(w * mean[p] for w, p in zip(weights, parents, strict=True))
    return weights, tidy(m), (1 - left) ** 2 * variance + added / (s * directions)


def _input(setting, source):
    if source.inputs is None:
        return setting.eigenvalue
    if not setting.eigenvalue.is_number:
        raise ValueError("inputs of a source on a spectrum with a symbolic eigenvalue; give the eigenvalue as a number")
    return exact("inputs", shifted_eigenvalues("inputs", source.inputs, np.array([float(setting.eigenvalue)])).item())


def _mixture(setting, node, step, mean, joint):
    values, parents = step.coefficients, step.parents
    variance = sum(
        a * b * joint(p, q) for a, p in zip(values, parents, strict=True) for b, q in zip(values, parents, strict=True)
    )
    return values, sum(c * mean[p] for c, p in zip(values, parents, strict=True)), variance


def _surrogate(setting, node, step, mean, joint):
    given = step.given.arrays
    if any(map(callable, given)):
        given = step.given.on(np.array([float(setting.eigenvalue)]))
    correlation, energies = (None if x is None else exact("surrogate", x.item()) for x in given)
    error = step.error if energies is None else setting.eigenvalue * energies
    return (), step.correlation if correlation is None else correlation, error / (setting.eigenvalue * setting.dim)


def _chain(setting, node, step, mean, joint):
    import sympy

    n, noise, s, start = step.generations, step.noise, setting.eigenvalue, step.start
    fitted = _fitted(setting, s, step.samples, step.ridge)
    p, q, g = fitted.learned, fitted.null, fitted.gain
    kept = p**n
    if q == 0:
        return [kept], mean[start], joint(start, start) + (0 if n == 0 else _noise(g, n * noise**2))
    growth = tidy(p**2 + s * setting.dim * q**2 * g)
    added = g * noise**2 * (1 - growth**n) / (1 - growth)
    if p == 0:
        return [kept], kept * mean[start], joint(start, start) * kept
    forgotten = (growth**n - kept**2) / (setting.dim) * setting.signal * mean[start] ** 2
    variance = growth**n * joint(start, start) + added + forgotten
    return [sympy.sympify(kept)], kept * mean[start], variance


def _accumulate(setting, node, step, mean, joint):
    import sympy

    rounds, samples, noise, penalty, start = step.rounds, step.samples, step.noise, step.penalty, step.start
    if rounds == 0:
        return [sympy.Integer(1)], mean[start], joint(start, start)
    fitted = _fitted(setting, setting.eigenvalue, samples, penalty / samples)
    p, q = fitted.learned, fitted.null
    fixed = setting.eigenvalue * q**2 * mean[start] ** 2 * setting.signal + noise**2
    first = _noise(fitted.gain, tidy(fixed))
    if joint(start, start) != 0:
        growth = p**2 + _noise(fitted.gain, tidy(setting.eigenvalue * q**2 * setting.dim))
        first += tidy(growth) * joint(start, start)

    def later(k):
        rows = k * samples
        return _noise(_fitted(setting, setting.eigenvalue, rows, penalty / rows).gain, noise**2) / k

    if rounds.is_number:
        rest = sum((later(sympy.Integer(k)) for k in range(2, int(rounds) + 1)), sympy.Integer(0))
    else:
        k = sympy.Symbol("k", integer=True, positive=True)
        ridges = dict(setting.ridges)
        term = later(k)
        own = {symbol: root for symbol, root in setting.ridges.items() if symbol not in ridges}
        for symbol in own:
            del setting.ridges[symbol]
        rest = sympy.Sum(sympy.factor(term).subs(own), (k, 2, rounds))
    return [p], tidy(p * mean[start]), first + rest


_STEPS = {
    SurrogateStep: _surrogate,
    FitStep: _fit,
    SgdStep: _sgd,
    MixtureStep: _mixture,
    ChainStep: _chain,
    AccumulateStep: _accumulate,
}
