"""Relations between the formulas, each proved by SymPy: one line each, left side equals right side.

Sums over eigenvalues stay symbolic and finite, or are taken at d equal eigenvalues; n and k are symbols.
"""

import pytest
import sympy
from formula_symbols import F, a, b, beta, ell, r, r_small, s_sigma
from sympy import Min, Sum, diff, limit, oo, pi, simplify, sqrt

from modelcollapse.theory.symbols import index, length, symbols

T, T_0, d, kappa, lam, n, k = symbols(
    "samples", "generator_samples", "dimension", "effective_ridge", "ridge", "generations", "rounds"
)
phi, phi_0, sigma, sigma_0, rho2, c2 = symbols(
    "aspect", "generator_aspect", "noise", "generator_noise", "signal_energy", "offset_variance"
)
s, theta, Delta, c, mu = symbols("eigenvalues", "signal", "offset", "label_energy", "label_alignment")
p_2, sigma_1, sigma_2, alpha, M, tau_0, H_0 = symbols(
    "synthetic_share", "real_noise", "synthetic_noise", "real_share", "draws", "deviation", "diversity"
)
p_g, omega, e, m = symbols("shares", "weights", "correlation", "features")
j, g = index("j"), index("g")
D = length("d")
x = sympy.Symbol("x", positive=True)
isotropic = {"aspect": d / T, "generator_aspect": d / T_0}


def put(expression, **arrays):
    """A formula with arrays replaced entry by entry, also inside the sums."""
    return expression.xreplace({symbols(name)[0][j]: sympy.sympify(value) for name, value in arrays.items()})


def one_atom(expression):
    """A formula for d equal eigenvalues 1: Σ_j 1 = d, Σ_j θ_j = ρ²."""

    def plain(total):
        factor, rest = sympy.factor(total.function).as_independent(theta[j])
        return factor * (rho2 if rest == theta[j] else d * rest)

    return put(expression, eigenvalues=1).replace(lambda term: isinstance(term, Sum), plain)


def canonical(expression):
    """Every sum over eigenvalues as a combination of sums of factored terms, so that equal sums cancel."""

    def split(total):
        energies = [x for x in (theta[j], Delta[j]) if total.has(x)]
        terms = sympy.Poly(total.function, *energies).terms() if energies else [((), total.function)]
        return sympy.Add(
            *(
                outside(total, sympy.factor(z), sympy.prod(e**q for e, q in zip(energies, powers, strict=True)))
                for powers, z in terms
            )
        )

    def outside(total, coefficient, energy):
        factor, rest = coefficient.as_independent(j)
        return factor * Sum(rest * energy, *total.limits)

    return expression.replace(lambda term: isinstance(term, Sum), split)


kappa_is = {kappa: F("effective_ridge_isotropic")}
stepped = k + 1


def endless(expression):
    """The limit m → ∞ of a rational function: the quotient of its leading coefficients."""
    above, below = (sympy.Poly(z, m) for z in sympy.fraction(sympy.together(expression)))
    assert above.degree() == below.degree()
    return above.LC() / below.LC()


def one_source(equation):
    """λ times the residual of the sources' equation for one source of weight 1, at e = κ/λ - 1."""
    right = equation.rhs.xreplace({p_g[g]: sympy.S.One, omega[g]: sympy.S.One}).doit().subs(length("G"), 1)
    return canonical(((e - right) * lam).subs(e, kappa / lam - 1))


def at_last(product):
    """The limit k → ∞ of a product of gamma functions of k, by Stirling's formula."""

    def stirling(logarithm):
        z = logarithm.args[0].args[0]
        return (z - sympy.Rational(1, 2)) * sympy.log(z) - z + sympy.log(2 * pi) / 2

    logarithm = sympy.expand_log(sympy.log(product), force=True)
    gammas = [term for term in logarithm.atoms(sympy.log) if isinstance(term.args[0], sympy.gamma)]
    return sympy.exp(limit(logarithm.xreplace({term: stirling(term) for term in gammas}), k, oo))


ratio_of_gammas = sympy.gamma(k + 1 - 1 / sqrt(M)) * sympy.gamma(k + 1 + 1 / sqrt(M)) / sympy.gamma(k + 1) ** 2


RELATIONS = {
    "no generations: the clean error": lambda: (F("chain_error", generations=0), F("clean_error")),
    "no generations, no ridge: least squares": lambda: (
        F("least_squares_chain", generations=0),
        sigma**2 * d / (T - d - 1),
    ),
    "Δ does not depend on n": lambda: (diff(F("chain_error"), n), F("collapse_rate")),
    "Δ is constant": lambda: (diff(F("chain_error"), n, 2), 0),
    "each exact generation costs the same": lambda: (diff(F("least_squares_chain"), n), sigma_0**2 * d / (T_0 - d - 1)),
    "one eigenvalue: clean error": lambda: (one_atom(F("clean_error")), F("clean_error_isotropic_kappa")),
    "one eigenvalue: Δ": lambda: (one_atom(F("collapse_rate")), F("collapse_rate_isotropic")),
    "one eigenvalue: E_clean + n Δ": lambda: (one_atom(F("chain_error")), F("chain_error_isotropic")),
    "E_clean + n Δ, isotropic": lambda: (
        F("chain_error_isotropic"),
        F("clean_error_isotropic_kappa") + n * F("collapse_rate_isotropic"),
    ),
    "Δ in the aspect ratios": lambda: (F("collapse_rate_proportional", **isotropic), F("collapse_rate_isotropic")),
    "the isotropic κ solves its equation": lambda: (kappa - lam, kappa * d / (1 + kappa) / T, kappa_is),
    "the isotropic κ gives back λ": lambda: (F("ridge_isotropic"), lam, kappa_is),
    "κ put into the clean error": lambda: (F("clean_error_isotropic"), F("clean_error_isotropic_kappa"), kappa_is),
    "dκ/dλ, isotropic": lambda: (
        diff(F("effective_ridge_isotropic"), lam),
        1 / (1 - d / (1 + kappa) ** 2 / T),
        kappa_is,
    ),
    "λ → 0, T > d: E_clean + n Δ": lambda: (
        F("chain_error_isotropic", effective_ridge=0),
        F("least_squares_chain_limit", **isotropic),
    ),
    "λ → 0, T > d, any covariance: Δ": lambda: (F("collapse_rate", effective_ridge=0), sigma_0**2 * d / (T_0 - d)),
    "λ → 0, T > d: Δ ridgeless": lambda: (
        F("collapse_rate_proportional", effective_ridge=0),
        sigma_0**2 * phi_0 / (1 - phi_0),
    ),
    "λ → 0, T < d: Δ ridgeless": lambda: (
        F("collapse_rate_proportional", effective_ridge=x, aspect=1 + x),
        F("collapse_rate_ridgeless", aspect=1 + x),
    ),
    "λ → 0, T < d: clean error is the interpolator's": lambda: (
        F("clean_error_isotropic_kappa", effective_ridge=d / T - 1),
        rho2 * (1 - T / d) + sigma**2 * T / (d - T),
    ),
    "exact least squares at large size": lambda: (
        limit(F("least_squares_chain").subs({T: d / phi, T_0: d / phi_0}), d, oo),
        F("least_squares_chain_limit"),
    ),
    "exact interpolation at large size": lambda: (
        limit(F("minimum_norm_error", samples=d / phi), d, oo),
        rho2 * (1 - 1 / phi) + sigma**2 / (phi - 1),
    ),
    "endless data: least squares": lambda: (limit(F("least_squares_chain"), T, oo), n * sigma_0**2 * d / (T_0 - d - 1)),
    "endless data: E_clean + n Δ": lambda: (limit(F("chain_error_isotropic"), T, oo), one_atom(F("error_floor"))),
    "generators that add nothing": lambda: (
        put(F("generation_error"), label_energy=theta[j], label_alignment=1),
        F("clean_error"),
    ),
    "one least-squares generation on: clean error + Δ": lambda: (
        one_atom(
            canonical(
                put(
                    F("generation_error"),
                    label_energy=theta[j] + sigma_0**2 / (T_0 - d),
                    label_alignment=1,
                    eigenvalues=1,
                )
            )
        ),
        F("chain_error_isotropic", generations=1),
    ),
    "recursion: noise-free interpolators": lambda: (
        F("interpolating_chain_noise_free", rounds=stepped),
        rho2 - T_0 / d * (rho2 - F("interpolating_chain_noise_free")),
    ),
    "the first interpolator": lambda: (
        F("interpolating_chain_noise_free", rounds=1),
        F("minimum_norm_error", noise=0, samples=T_0),
    ),
    "recursion: noisy interpolators (C ← q C + added)": lambda: (
        F("interpolating_chain", generations=n + 1) - F("interpolating_chain"),
        T / d * (T_0 / d) ** n * (rho2 * (1 - T_0 / d) + sigma_0**2 * T_0 / (d - T_0 - 1)),
    ),
    "no generations: the interpolator": lambda: (F("interpolating_chain", generations=0), F("minimum_norm_error")),
    "equal interpolators: chain of n + 1 fits, large size": lambda: (
        F("interpolating_chain_limit", rounds=stepped),
        F("interpolating_chain_limit") / phi + rho2 * (1 - 1 / phi) + sigma**2 / (phi - 1),
    ),
    "one ridge fit: the clean error": lambda: (
        F("ridge_chain_isotropic", rounds=1, aspect=d / T),
        F("clean_error_isotropic_kappa"),
    ),
    "no fit: no error": lambda: (F("ridge_chain_isotropic", rounds=0), 0),
    "λ → 0, T < d: ridge chain of two is the interpolators'": lambda: (
        F("ridge_chain_isotropic", rounds=2, effective_ridge=phi - 1),
        F("interpolating_chain_limit", rounds=2),
    ),
    "endless chain, one eigenvalue": lambda: (
        one_atom(F("ridge_chain_stationary")).subs(T, d / phi),
        rho2 + sigma**2 * phi / ((2 + kappa) * (1 - 2 * phi / ((1 + kappa) * (2 + kappa))) * kappa),
    ),
    "mixture without synthetic data: no price": lambda: (F("mixture_price", synthetic_share=0), 0),
    "mixture without synthetic data: clean error": lambda: (
        F("mixture_error", synthetic_share=0, real_noise=sigma),
        F("clean_error"),
    ),
    "only synthetic data, no ridge: the offset itself": lambda: (F("mixture_price_ridgeless", synthetic_share=1), c2),
    "only synthetic data: one fit on labels w_0 + δ": lambda: (
        F("mixture_error", synthetic_share=1, synthetic_noise=sigma) - F("clean_error"),
        (put(F("generation_error"), label_energy=theta[j] + Delta[j], label_alignment=1) - F("clean_error")),
    ),
    "mixture, λ → 0": lambda: (F("mixture_price_isotropic", effective_ridge=0), F("mixture_price_ridgeless")),
    "strong collapse: the floor": lambda: (limit(F("mixture_price_ridgeless"), phi, 0), F("mixture_floor")),
    "one source of weight 1: e = κ/λ - 1 solves ridge's equation": lambda: (
        one_source(F("weighted_sources_equation")),
        F("effective_ridge_equation").lhs - F("effective_ridge_equation").rhs,
    ),
    "recursion: label mixing": lambda: (
        F("label_mixing", rounds=stepped),
        (1 - alpha) ** 2 * F("label_mixing") + F("label_mixing", rounds=1),
    ),
    "label mixing for ever": lambda: (
        F("label_mixing_limit"),
        F("label_mixing", real_noise=sigma, synthetic_noise=sigma, rounds=1) / (1 - (1 - alpha) ** 2),
    ),
    "the golden ratio is stationary": lambda: (diff(F("label_mixing_limit"), alpha).subs(alpha, (sqrt(5) - 1) / 2), 0),
    "the golden ratio's error": lambda: (
        F("label_mixing_limit", real_share=(sqrt(5) - 1) / 2),
        F("label_mixing_best_error"),
    ),
    "accumulation: one more round": lambda: (
        F("accumulation_equal_rounds", rounds=stepped) - F("accumulation_equal_rounds"),
        sigma**2 * d / ((k + 1) * ((k + 1) * T - d - 1)),
    ),
    "accumulation: no round": lambda: (F("accumulation_equal_rounds", rounds=0), 0),
    "accumulation: one round is least squares": lambda: (
        F("accumulation_equal_rounds", rounds=1),
        F("least_squares_chain", generations=0),
    ),
    "accumulation: Σ 1/g² = π²/6": lambda: (Sum(1 / g**2, (g, 1, oo)).doit(), pi**2 / 6),
    "accumulation for ever, d ≪ T": lambda: (
        sympy.series(F("accumulation_limit").subs(T, (d + 1) / x), x, 0, 2).removeO(),
        F("accumulation_limit_many_samples").subs(T, (d + 1) / x),
    ),
    "clean exponents meet at ℓ_crit": lambda: (
        F("bias_exponent").subs(ell, F("critical_exponent")),
        F("noise_exponent").subs({ell: F("critical_exponent"), s_sigma: 0}),
    ),
    "a → 0, b → 1: ℓ_crit": lambda: (
        F("optimal_exponent_published", generations_exponent=0, generator_samples_exponent=1).subs(r, r_small),
        Min(beta, F("critical_exponent").subs(r, r_small)),
    ),
    "ν = 1: ℓ_crit": lambda: (F("optimal_exponent", margin=1), Min(beta, F("critical_exponent"))),
    "ν = b - a: the published exponent": lambda: (F("optimal_exponent", margin=b - a), F("optimal_exponent_published")),
    "no fake data, order-one noise: the clean exponent": lambda: (
        F(
            "test_error_exponent",
            generations_exponent=0,
            generator_samples_exponent=1,
            aspect_exponent=0,
            generator_noise_exponent=0,
            noise_exponent=0,
        ),
        F("clean_error_exponent", noise_exponent=0),
    ),
    "Gaussian: one more generation": lambda: (
        F("gaussian_variance", rounds=stepped),
        F("gaussian_variance") * (1 - 1 / M),
    ),
    "Gaussian: what the variance loses the mean wanders": lambda: (
        F("gaussian_mean_drift_likelihood"),
        tau_0**2 - F("gaussian_variance"),
    ),
    "Gaussian: drift by drift": lambda: (
        F("gaussian_mean_drift_likelihood", rounds=stepped) - F("gaussian_mean_drift_likelihood"),
        F("gaussian_variance") / M,
    ),
    "Gaussian, accumulated: one more round": lambda: (
        F("gaussian_accumulated_variance", rounds=stepped),
        F("gaussian_accumulated_variance") * (1 - 1 / (M * (k + 1) ** 2)),
    ),
    "Gaussian, accumulated: the mean wanders": lambda: (
        F("gaussian_accumulated_drift"),
        tau_0**2 - F("gaussian_accumulated_variance"),
    ),
    "Gaussian, accumulated: Euler's product, M = 4": lambda: (
        at_last(F("gaussian_accumulated_variance", draws=4)),
        F("gaussian_accumulated_limit", draws=4),
    ),
    "Gaussian, accumulated: the limit, by reflection": lambda: (
        (F("gaussian_accumulated_variance") / ratio_of_gammas).subs(M, x**-2),
        F("gaussian_accumulated_limit").subs(M, x**-2),
    ),
    "Gaussian: E τ² is kept, E log τ² is not": lambda: (
        F("gaussian_log_variance", rounds=stepped) - F("gaussian_log_variance"),
        sympy.digamma((M - 1) / 2) + sympy.log(2 / (M - 1)),
    ),
    "discrete: one more generation": lambda: (
        F("discrete_diversity", rounds=stepped),
        F("discrete_diversity") * (1 - 1 / M),
    ),
    "discrete, real data: 1 - F_{k+1} from F_k": lambda: (
        1 - F("discrete_mixed_diversity", rounds=stepped),
        (1 - 1 / M) * ((1 - alpha) ** 2 * (1 - F("discrete_mixed_diversity")) + (1 - (1 - alpha) ** 2) * (1 - H_0))
        + 1 / M,
    ),
    "discrete, real data: fixed point": lambda: (
        1 - F("discrete_mixed_limit"),
        (1 - 1 / M) * ((1 - alpha) ** 2 * (1 - F("discrete_mixed_limit")) + (1 - (1 - alpha) ** 2) * (1 - H_0)) + 1 / M,
    ),
    "discrete, no real data": lambda: (F("discrete_mixed_diversity", real_share=0), F("discrete_diversity")),
    "discrete, accumulated: as the Gaussian chain": lambda: (
        F("discrete_accumulated_diversity") / H_0,
        F("gaussian_accumulated_variance") / tau_0**2,
    ),
    "random features, m → ∞: ridge": lambda: (
        endless(one_atom(F("random_features_error"))),
        F("clean_error_isotropic_kappa"),
    ),
    "random features, m → ∞: price": lambda: (
        endless(one_atom(put(F("random_features_price"), offset=c2 / d))),
        F("mixture_price_isotropic", aspect=d / T),
    ),
    "random features, clean labels": lambda: (
        put(F("random_features_label_error"), label_energy=theta[j], label_alignment=1),
        F("random_features_error"),
    ),
    "random features: dλ/dκ": lambda: (diff(F("random_features_equation").rhs, kappa), F("random_features_slope")),
    "best ridge: stationary": lambda: (
        diff(F("chain_error_isotropic"), kappa) * (1 + kappa) ** 2 * ((1 + kappa) ** 2 - d / T) ** 2 / 2,
        F("optimal_ridge_equation").lhs - F("optimal_ridge_equation").rhs,
    ),
    "best ridge without fake data": lambda: (
        F("ridge_isotropic"),
        F("optimal_ridge_clean"),
        {sigma: sqrt(rho2 * kappa * (1 + kappa - d / T) * T / (d * (1 + kappa)))},
    ),
}


STEPS = (
    canonical,
    sympy.expand,
    lambda z: sympy.numer(sympy.together(z)).expand(),
    lambda z: sympy.numer(sympy.together(canonical(z))).expand(),
    sympy.radsimp,
    lambda z: simplify(sympy.expand_func(sympy.gammasimp(z))),
    simplify,
    lambda z: simplify(sympy.powsimp(sympy.expand(z), force=True)),
)


def vanishes(difference):
    """Whether SymPy proves that an expression is zero."""
    return any(step(difference) == 0 for step in STEPS)


@pytest.mark.parametrize("name", RELATIONS)
def test_relation(name):
    left, right, *given = RELATIONS[name]()
    assert vanishes(sympy.sympify(left - right).subs(given[0] if given else {}))


def test_a_planted_error_is_not_proved():
    left, right = RELATIONS["recursion: label mixing"]()
    assert not vanishes(left - right - sigma_1**2 / T)


def test_accumulation_is_bounded_whatever_the_rounds():
    # Σ_g T_g/N_g² ≤ 1/T_1 + Σ_{g>1} (1/N_{g-1} - 1/N_g) ≤ 2/T_1, term by term
    before, new = sympy.symbols("N T_g", positive=True)
    assert simplify(1 / before - 1 / (before + new) - new / (before + new) ** 2).is_positive
