r"""`equations`: the test error of a pipeline on any spectrum, as named lines with sums over directions.

Model k has the mean ratio a_k (E w_j = a_{k,j} w0_j) and the covariance C_{ki,j} with model i in direction j. A ridge
fit on T rows, of which the share π_g is labelled by model g with noise σ_g, is

    κ = λ + κ df_1(κ)/T,    p_j = s_j/(s_j+κ),    a_j = p_j Σ_g π_g a_{g,j},
    ρ = Σ_g π_g (σ_g² + Σ_j s_j E(w̄ − w_g)_j²),   w̄ = p Σ_h π_h w_h,    v = ρ/(T − df_2(κ)),
    C_{kk,j} = p_j² Σ_gh π_g π_h C_{gh,j} + v s_j/(s_j+κ)²,    C_{ki,j} = p_j Σ_g π_g C_{gi,j},

with df_q(κ) = Σ_j (s_j/(s_j+κ))^q, and the test error Σ_j s_j [(1 − a_j)² w0_j² + C_j]. Sums are over all directions,
each counted once. These are the equations that `predict` evaluates, and `evaluate` solves them as they stand.
"""

from dataclasses import dataclass
from typing import Any

from modelcollapse.theory.expressions import exact, plain_sum
from modelcollapse.theory.pipelines import Model
from modelcollapse.theory.pipelines.reading import read
from modelcollapse.theory.pipelines.steps import AccumulateStep, ChainStep, FitStep, MixtureStep, TruthStep
from modelcollapse.theory.populations.spectrum import Spectrum

__all__ = ["Equations", "Line", "equations"]


@dataclass(frozen=True)
class Line:
    """`left` = `right`, for all j where j occurs and for all values of an index where `over` = (index, first, last).

    `root` = (λ, T) marks an equation whose right side contains the left one: its largest root is meant.
    """

    left: Any
    right: Any
    over: tuple | None = None
    root: tuple | None = None

    @property
    def equation(self):
        """The line as a SymPy equation."""
        import sympy

        return sympy.Eq(self.left, self.right, evaluate=False)


class Equations:
    """What `equations` returns: a sequence of `Line`s, the last one the test error.

    .to_latex() : all lines, aligned;  .evaluate(values) : the test error as a number, by solving line after line
    """

    def __init__(self, lines, spectrum):
        self.lines, self.spectrum = tuple(lines), spectrum

    def __len__(self):
        return len(self.lines)

    def __iter__(self):
        return iter(self.lines)

    def __getitem__(self, k):
        return self.lines[k]

    def __repr__(self):
        shown = []
        for line in self.lines:
            over = "   ({} = {}..{})".format(*line.over) if line.over else ""
            shown.append(f"{line.left} = {line.right}{over}")
        return "\n".join(shown)

    def to_latex(self):
        """The lines as the body of a LaTeX display, without dollar signs."""
        from modelcollapse.theory.equation_latex import latex_of_equations as latex

        rows = []
        for line in self.lines:
            over = ", \\quad {} = {}, \\ldots, {}".format(*map(latex, line.over)) if line.over else ""
            rows.append(f"{latex(line.left)} &= {latex(line.right)}{over}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def _repr_latex_(self):
        return f"$\\displaystyle {self.to_latex()}$"

    def evaluate(self, values=None):
        """The test error as a float, by solving the lines one after the other.

        values : dict symbol -> number, for the pipeline's free symbols. TypeError for a symbol without a number.
        """
        from modelcollapse.theory.equation_solving import solved

        return solved(self.lines, self.spectrum, values or {})


def equations(model: Model) -> Equations:
    """The test error of a pipeline on any spectrum as named equations: effective ridges, moments, error.

    Parameters
    ----------
    model : Model on a spectrum, without arrays; its numbers may be symbols
        Of ridge fits, chains, accumulations and mixtures; the sources of one fit agree in weight and inputs.

    Returns
    -------
    Equations, a sequence of lines with `.to_latex()` and `.evaluate(values)`: the deterministic equivalent, in sums
    over directions j of eigenvalues s_j and squared weights θ_j = w0_j².

    Raises
    ------
    TypeError for what is no model, ValueError for dense populations, arrays, and fits that have no such equations here
    (filters, features, links, kept rows, other inputs or weights): use `predict`; for plain symbols s or theta.

    Derived here (see the module); with one source Theorem 1 of Dohmatob, Feng, Kempe 2024 (arXiv 2402.07712).

    Examples
    --------
    The lines give what `predict` gives:

    >>> import numpy as np, sympy, modelcollapse as mc
    >>> T, lam = sympy.symbols("T lambda", positive=True)
    >>> model = mc.fit(mc.truth(mc.power_law(1.5, 0.5, dim=50)).label(T, noise=0.1), ridge=lam)
    >>> found = equations(model)
    >>> print(found.to_latex().splitlines()[4])
    v &= \\frac{\\rho}{T - \\mathrm{df}_2(\\kappa)} \\\\
    >>> values = {T: 30, lam: 1e-2}
    >>> bool(np.isclose(found.evaluate(values), mc.predict(model, values).test_error, rtol=1e-10))
    True
    """
    reading = read(model)
    if not isinstance(model.spectrum, Spectrum):
        raise ValueError(f"a population of {model.spectrum.noun} has no sums over directions; use mc.predict")
    writer = _Writer(reading, frozenset(map(str, model.free)))
    if clash := [symbol for symbol in (writer.s.label, writer.theta.label) if symbol in model.free]:
        raise ValueError(
            f"the symbol {clash[0]} is a letter of the equations too, which write s for eigenvalues and theta for "
            "squared weights; give it another name by model.subs"
        )
    numbers = [exact(name, value) for name, value, _ in reading.leaves]
    for i, (step, node) in enumerate(zip(reading.filled(numbers), reading.nodes, strict=True)):
        if not isinstance(step, TruthStep):
            if type(step) not in _STEPS:
                raise ValueError(f"{node!r} has no named equations; use mc.predict")
            _STEPS[type(step)](writer, i, step, node)
    return Equations([*writer.lines, writer.error()], model.spectrum)


def degrees(order):
    """The SymPy function df_order of an effective ridge."""
    import sympy

    return sympy.Function(f"df_{order}")


class _Writer:
    """Lines that were written so far, mean ratios and covariances by place."""

    def __init__(self, reading, taken):
        import sympy

        self.pairs, self.taken = reading.schedule.pairs, taken
        self.lines, self.mean, self.covariance = [], {}, {}
        self.order = [i for i, step in enumerate(reading.steps) if not isinstance(step, TruthStep)]
        self.j, self.directions = sympy.Symbol("j", integer=True, positive=True), sympy.Symbol("d")
        self.s: Any = sympy.IndexedBase("s")
        self.theta: Any = sympy.IndexedBase("theta")
        for i, step in enumerate(reading.steps):
            if isinstance(step, TruthStep):
                self.mean[i] = sympy.Integer(1)

    def named(self, letter, i, *indices):
        """A letter of model i: plain where there is one model only."""
        import sympy

        name = self.free_name(letter if len(self.order) == 1 else f"{letter}_{self.order.index(i) + 1}")
        base: Any = sympy.IndexedBase(name)
        return base[indices] if indices else sympy.Symbol(name, positive=True)

    def free_name(self, name):
        """The name, primed where a symbol of the pipeline has it."""
        while name in self.taken:
            name += "'"
        return name

    def index(self):
        """The letter of generations and rounds."""
        import sympy

        return sympy.Symbol(next(x for x in ("g", "h", "k", "l", "gen") if x not in self.taken), integer=True)

    def write(self, left, right, **kind):
        self.lines.append(Line(left, right, **kind))
        return left

    def total(self, term):
        import sympy

        return sympy.Sum(term, (self.j, 1, self.directions))

    def joint(self, i, k):
        import sympy

        return self.covariance.get((max(i, k), min(i, k)), sympy.Integer(0))

    def kappa(self, left, samples, ridge, over=None):
        import sympy

        if ridge == sympy.oo:
            raise ValueError("ridge = inf in a fit, whose equations are empty; leave the null model out")
        right = ridge + left * degrees(1)(left) / samples
        return self.write(left, right, over=over, root=(ridge, samples))

    def finished(self, i, mean, own, across):
        """Name the moments of model i: mean ratio, own covariance, and those with earlier models by a function."""
        import sympy

        j = self.j
        self.mean[i] = self.write(self.named("a", i, j), mean)
        for k in self.pairs[i]:
            value = own if k == i else across(k)
            if value != 0:
                pair = (str(self.order.index(model) + 1) for model in (i, k))
                number = ("" if len(self.order) < 10 else ",").join(pair) if len(self.order) > 1 else ""
                base: Any = sympy.IndexedBase(self.free_name(f"C_{number}" if number else "C"))
                self.covariance[i, k] = self.write(base[j], value)

    def error(self):
        import sympy

        last = self.order[-1] if self.order else 0
        missed = (1 - self.mean[last]) ** 2 * self.theta[self.j]
        return Line(sympy.Symbol("E"), self.total(self.s[self.j] * (missed + self.joint(last, last))))


def _rows(step, node):
    """Shares of the sources, rows in all and the common weight."""
    import sympy

    sources = step.sources
    odd = not step.plain or step.judges or any(x.link is not None or x.shifted for x in sources)
    kept = [source for source in sources if source.samples != 0 and source.weight != 0]
    if odd or len({source.weight for source in kept}) > 1:
        raise ValueError(
            f"{node!r} has no named equations: filters, features, links, kept rows, and sources that differ in weight "
            "or inputs; use mc.predict"
        )
    samples = plain_sum(source.samples for source in kept)
    shares = [source.samples / samples if source in kept else sympy.Integer(0) for source in sources]
    return shares, samples, plain_sum(source.samples for source in sources) / samples, kept[0].weight


def _fit(writer, i, step, node):
    shares, samples, counted, weight = _rows(step, node)
    s, j, parents = writer.s[writer.j], writer.j, step.parents
    kappa = writer.kappa(writer.named("kappa", i), samples, step.ridge * counted / weight)
    p = writer.write(writer.named("p", i, j), s / (s + kappa))
    risk = 0
    for g, (share, source) in enumerate(zip(shares, step.sources, strict=True)):
        gaps = [p * other - (1 if h == g else 0) for h, other in enumerate(shares)]
        mean, spread = _combined(writer, gaps, parents)
        risk += share * (source.noise**2 + writer.total(s * (mean**2 * writer.theta[j] + spread)))
    risk = writer.write(writer.named("rho", i), risk)
    v = writer.write(writer.named("v", i), risk / (samples - degrees(2)(kappa)))
    mean, spread = _combined(writer, shares, parents)
    own = p**2 * spread + v * s / (s + kappa) ** 2

    def across(k):
        return p * sum(share * writer.joint(parent, k) for share, parent in zip(shares, parents, strict=True))

    writer.finished(i, p * mean, own, across)


def _combined(writer, coefficients, parents):
    """Mean ratio and variance of Σ c_g w_g."""
    mean = plain_sum(c * writer.mean[g] for c, g in zip(coefficients, parents, strict=True))
    pairs = [(c * e, g, h) for c, g in zip(coefficients, parents, strict=True)
             for e, h in zip(coefficients, parents, strict=True)]  # fmt: skip
    return mean, sum(c * writer.joint(g, h) for c, g, h in pairs if writer.joint(g, h) != 0)


def _mixture(writer, i, step, node):
    mean, spread = _combined(writer, step.coefficients, step.models)
    weighted = list(zip(step.coefficients, step.models, strict=True))
    writer.finished(i, mean, spread, lambda k: sum(c * writer.joint(g, k) for c, g in weighted))


def _chain(writer, i, step, node):

    n, samples, start = step.generations, step.samples, step.start
    g, s, j = writer.index(), writer.s[writer.j], writer.j
    kappa = writer.kappa(writer.named("kappa", i), samples, step.ridge)
    p = writer.write(writer.named("p", i, j), s / (s + kappa))
    writer.write(writer.named("V", i, 0, j), writer.joint(start, start))
    seen = (p ** (g - 1) * writer.mean[start]) ** 2 * writer.theta[j] + writer.named("V", i, g - 1, j)
    risk, over = step.noise**2 + writer.total(s * (1 - p) ** 2 * seen), (g, 1, n)
    v = writer.write(writer.named("v", i, g), risk / (samples - degrees(2)(kappa)), over=over)
    later = p**2 * writer.named("V", i, g - 1, j) + v * s / (s + kappa) ** 2
    writer.write(writer.named("V", i, g, j), later, over=over)
    writer.finished(i, p**n * writer.mean[start], writer.named("V", i, n, j), lambda k: p**n * writer.joint(start, k))


def _accumulate(writer, i, step, node):
    import sympy

    rounds, samples, start = step.rounds, step.samples, step.start
    if rounds == 0:
        return writer.finished(i, writer.mean[start], writer.joint(start, start), lambda k: writer.joint(start, k))
    g, s, j = writer.index(), writer.s[writer.j], writer.j
    kappa = writer.kappa(writer.named("kappa", i, g), g * samples, step.penalty / (g * samples), (g, 1, rounds))
    first = writer.named("kappa", i, 1)
    p = writer.write(writer.named("p", i, j), s / (s + first))
    seen = writer.mean[start] ** 2 * writer.theta[j] + writer.joint(start, start)
    risk = writer.write(writer.named("rho", i), step.noise**2 + writer.total(s * (1 - p) ** 2 * seen))
    v = writer.write(writer.named("v", i), risk / (samples - degrees(2)(first)))
    added = step.noise**2 / g * s / (s + kappa) ** 2 / (g * samples - degrees(2)(kappa))
    own = p**2 * writer.joint(start, start) + v * s / (s + first) ** 2 + sympy.Sum(added, (g, 2, rounds))
    return writer.finished(i, p * writer.mean[start], own, lambda k: p * writer.joint(start, k))


_STEPS = {FitStep: _fit, MixtureStep: _mixture, ChainStep: _chain, AccumulateStep: _accumulate}
