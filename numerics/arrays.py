r"""One set of formulas for NumPy arrays, dual numbers and JAX arrays.

A kernel asks for the namespace of its arguments and computes with it,

    xp = namespace(eigenvalues, ridge)
    xp.where(ridge > 0, xp.log(ridge), 0)

NumPy arrays are computed at once, with loops in Python: nothing is compiled, which is what a few points want. JAX
arrays can be compiled, differentiated to any order and put on devices. `duals.Dual` carries first derivatives along
with NumPy values. The operations of all three are those of NumPy and SciPy by the same name (`OPERATIONS`, `SPECIAL`),
and

    while_loop(unfinished, advance, state)            repeat(count, body, state, length)
    stop_gradient(x)                                  sum_together(*terms)
    over_lanes(function, arguments)

A function given by an equation has a derivative that the equation implies. `differentiable(rule)` attaches it:
rule(arguments, results, tangents) returns the tangents of the results (None for flags), linear in the given ones. It
serves JAX, where results of the function itself make derivatives of every order right, and dual numbers.
"""

import functools
import os
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

from modelcollapse.numerics import duals
from modelcollapse.numerics.duals import Dual

__all__ = [
    "OPERATIONS",
    "Array",
    "compiled",
    "differentiable",
    "jit",
    "namespace",
    "on_device",
    "push_forward",
    "quiet",
    "within_jit",
]

Array = Any  # NumPy, Dual or JAX

OPERATIONS = (
    *("abs", "arctan2", "clip", "conj", "exp", "expm1", "hypot", "imag", "log", "log1p", "maximum", "minimum", "mod"),
    *("real", "round", "sign", "sqrt", "where", "isfinite", "isinf", "isnan", "all", "any", "max", "min", "sum"),
    *("argsort", "asarray", "broadcast_arrays", "broadcast_to", "concatenate", "einsum", "full_like", "ones_like"),
    *("arcsin", "result_type", "stack", "take_along_axis", "zeros_like"),
)
_PLAIN = {np.ndarray, np.float64, float, int, bool, type(None)}
SPECIAL = ("erf", "erfc", "ndtr")  # of SciPy, imported at the first use


class quiet(np.errstate):
    """A decorator of kernels: NumPy does not warn of infinities, which the kernels select away or mean."""

    def __init__(self):
        super().__init__(all="ignore")


def leaves(tree):
    """The arrays and numbers of nested tuples, lists and dicts."""
    found, waiting = [], [tree]
    while waiting:
        branch = waiting.pop()
        if isinstance(branch, np.ndarray):  # which most are
            found.append(branch)
        elif isinstance(branch, (tuple, list)):
            waiting.extend(branch[::-1])
        elif isinstance(branch, dict):
            waiting.extend(reversed(branch.values()))
        else:
            found.append(branch)
    return found


def namespace(*values):
    """The operations for arrays of this kind: JAX if one of them is a JAX array, Dual if one is, else NumPy."""
    others = {*map(type, values)} - _PLAIN
    if not others:
        return _NUMPY
    if others == {Dual}:
        return _DUAL
    jax, found = sys.modules.get("jax"), _NUMPY
    for value in leaves(values):
        if isinstance(value, np.ndarray):
            continue
        if isinstance(value, Dual):
            found = _DUAL
        elif jax is not None and isinstance(value, jax.Array):
            return _jax()
    return found


def on_device(*values):
    """Whether one of the values is a JAX array, whose kernels are compiled."""
    jax = sys.modules.get("jax")
    return jax is not None and any(isinstance(value, jax.Array) for value in leaves(values))


def jit(function, static=()):
    """The function, compiled by JAX; `static`: names of its constants."""

    @functools.cache
    def jitted(inlined):
        import jax

        return jax.jit(function, static_argnames=static, compiler_options=None if inlined else _compiler_options())

    @functools.wraps(function)
    def call(*arguments, **options):
        return jitted(_is_traced((arguments, options)))(*arguments, **options)

    return call


def compiled(function, static=()):
    """The function, compiled by JAX for JAX arrays and called as it is for others; `static`: names of its constants."""
    jitted = jit(function, static)

    @functools.wraps(function)
    def call(*arguments, **options):
        return (jitted if on_device(*arguments) else function)(*arguments, **options)

    return call


def _is_traced(arguments):
    """Whether a call becomes part of a larger kernel, whose caller alone may say how it compiles.

    It does within `jit` and where a reverse derivative is recorded; forward derivatives are kernels of their own.
    """
    import jax.core
    from jax.interpreters.ad import JVPTracer

    def is_recorded(x):
        while isinstance(x, JVPTracer):
            x = x.primal
        return isinstance(x, jax.core.Tracer)

    return within_jit() or any(map(is_recorded, leaves(arguments)))


def within_jit():
    """Whether JAX is tracing a caller's `jit`."""
    import jax.core
    import jax.numpy

    return isinstance(jax.numpy.zeros(()), jax.core.Tracer)


@functools.cache
def _compiler_options():
    """Options of XLA by which our kernels, many small loops, compile on the CPU in half the time and run as fast.

    What the user's XLA_FLAGS name stays as it is there.
    """
    import jax

    if jax.default_backend() != "cpu":
        return None
    named = os.environ.get("XLA_FLAGS", "")
    options = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}
    options = {name: value for name, value in options.items() if name not in named}
    return _accepted(options) if options else None


def _accepted(options):
    """The options of XLA, or None where this version does not have them all."""
    import jax

    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:
        return None
    return options


def differentiable(rule):
    """Decorate a function of arrays that returns an array or a tuple of them; see the module."""

    def decorate(plain):
        @functools.wraps(plain)
        def call(*arguments):
            xp = namespace(*arguments)
            if xp is _NUMPY:
                return plain(*arguments)
            return _with_tangents(plain, rule, arguments) if xp is _DUAL else compiled()(*arguments)

        @functools.cache
        def compiled():
            import jax

            def derivative(arguments, tangents):
                results = call(*arguments)
                moved = rule(arguments, results, tangents)
                if not isinstance(results, tuple):
                    return results, moved
                flags = [
                    np.zeros(x.shape, jax.dtypes.float0) if t is None else t.astype(x.dtype)
                    for x, t in zip(results, moved, strict=True)
                ]
                return results, tuple(flags)

            function = jax.custom_jvp(plain)
            function.defjvp(derivative)
            return function

        return call

    return decorate


def _with_tangents(plain, rule, arguments):
    """A function of Dual numbers: its rule once for each tangent."""
    values = [duals.value_of(x) for x in arguments]
    results = plain(*values)
    count = next(len(x.tangents) for x in arguments if isinstance(x, Dual))
    moved = [rule(values, results, [duals.tangent_of(x, k) for x in arguments]) for k in range(count)]
    if not isinstance(results, tuple):
        return Dual(results, np.stack([np.broadcast_to(tangent, results.shape) for tangent in moved]))
    return tuple(
        x if tangents[0] is None else Dual(x, np.stack([np.broadcast_to(tangent, x.shape) for tangent in tangents]))
        for x, tangents in zip(results, zip(*moved, strict=True), strict=True)
    )


def push_forward(function, arguments, tangents):
    """The derivative of a function of arrays along one tangent of its arguments."""
    if namespace(*arguments, *tangents) is _NUMPY:
        return function(*(Dual(x, np.asarray(t)[None]) for x, t in zip(arguments, tangents, strict=True))).tangents[0]
    import jax

    return jax.jvp(function, tuple(arguments), tuple(tangents))[1]


def _while_loop(unfinished, advance, state):
    while unfinished(state):
        state = advance(state)
    return state


def _repeat(count, body, state, length=None):
    for k in range(int(np.max(duals.value_of(count), initial=0))):
        state = body(k, state)
    return state


def tree_map(function, tree, *others):
    """The function of the leaves of nested tuples."""
    if not isinstance(tree, tuple):
        return function(tree, *others)
    branches = [tree_map(function, *branch) for branch in zip(tree, *others, strict=True)]
    return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)


def _over_lanes(function, arguments):
    """A function of one lane at a time, results stacked; its leaves (P, ...) become (...)."""
    count = len(leaves(arguments)[0])
    results = [function(tree_map(lambda x, k=k: x[k], arguments)) for k in range(count)]
    return tree_map(lambda *x: duals.stack(x), *results)


def _sum_together(*terms):
    return tuple(term.sum(-1) for term in terms)


_NUMPY = SimpleNamespace(
    **{name: getattr(np, name) for name in OPERATIONS},
    **{name: getattr(duals, name) for name in SPECIAL},
    while_loop=_while_loop,
    repeat=_repeat,
    stop_gradient=lambda x: x,
    over_lanes=_over_lanes,
    sum_together=_sum_together,
)
_DUAL = SimpleNamespace(
    **{name: getattr(duals, name) for name in (*OPERATIONS, *SPECIAL)},
    while_loop=_while_loop,
    repeat=_repeat,
    stop_gradient=duals.value_of,
    over_lanes=_over_lanes,
    sum_together=_sum_together,
)


@functools.cache
def _jax():
    import jax
    import jax.numpy as jnp
    import jax.scipy.special

    def repeat(count, body, state, length=None):
        """A static `length` ≥ count allows reverse differentiation; `body` masks what is beyond its count."""
        if length is None:
            return jax.lax.fori_loop(0, jnp.max(count).astype(int), body, state)
        return jax.lax.scan(lambda carry, k: (body(k, carry), None), state, jnp.arange(length))[0]

    @jax.custom_jvp
    def sums(terms):
        def add(left, right):
            return tuple(a + b for a, b in zip(left, right, strict=True))

        zero = jnp.zeros((), terms[0].dtype)
        return jax.lax.reduce(terms, (zero,) * len(terms), add, (terms[0].ndim - 1,))

    @sums.defjvp
    def _(primals, tangents):
        return sums(*primals), tuple(jnp.sum(tangent, axis=-1) for tangent in tangents[0])

    def sum_together(*terms):
        """XLA runs separate sums on the CPU as loops that each recompute their terms; one of a tuple is faster."""
        dtype = jnp.result_type(*terms)
        return sums(tuple(term.astype(dtype) for term in terms))

    return SimpleNamespace(
        **{name: getattr(jnp, name) for name in OPERATIONS},
        **{name: getattr(jax.scipy.special, name) for name in SPECIAL},
        while_loop=jax.lax.while_loop,
        repeat=repeat,
        stop_gradient=jax.lax.stop_gradient,
        over_lanes=jax.lax.map,
        sum_together=sum_together,
    )
