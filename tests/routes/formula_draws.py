"""Points of a formula's declared domain, from any source of uniform numbers: Hypothesis or a seeded generator."""

import numpy as np

from modelcollapse.theory.formulas import evaluated

EXPONENTS = {
    "capacity": (1.1, 4.0),
    "tail_exponent": (1.1, 3.5),
    "generator_exponent": (1.1, 4.5),
    "growth": (1.02, 4.0),
    "source": (0.05, 3.0),
    "ridge_exponent": (0.0, 3.0),
    "generations_exponent": (0.0, 1.0),
    "generator_samples_exponent": (-1.0, 2.0),
    "aspect_exponent": (0.0, 1.0),
    "noise_exponent": (0.0, 1.5),
    "generator_noise_exponent": (0.0, 1.5),
    "margin": (0.05, 3.0),
    "label_alignment": (-1.0, 1.0),
}
DECADES = {"eigenvalues": (-3.0, 0.0), "effective_ridge": (-3.0, 1.5), "round_effective_ridge": (-3.0, 0.5)}


LEAST_ROOM = 1e-6  # between bounds that depend on other arguments; less is lost in their own rounding


class Empty(Exception):
    """The other arguments leave no room for this one."""


def draw(formula, uniform, ranges=None, sizes=None):
    """Keyword arguments inside the domain of a formula and its joint conditions.

    `uniform(low, high)` yields a float; `ranges` narrows single arguments. Arguments bounded by others are drawn
    after them, inside their bounds; `sizes` fixes the lengths of arrays. Raises Empty where there is no room.
    """
    ranges, values = ranges or {}, {}
    sizes = sizes or {q.length: 1 + int(uniform(0, 4.999)) for q in formula.quantities if q.length}
    known = {q.length: sizes[q.length] for q in formula.quantities if q.length}
    waiting = list(formula.quantities)
    while waiting:
        q = next(q for q in waiting if _ready(formula, q, known))
        waiting.remove(q)
        bounds = [c for c in formula.conditions if c.quantity.name == q.name]
        if q.length:
            known[q.letter] = entries = []
            for i in range(sizes[q.length]):
                here = [
                    c.relation.func(c.relation.lhs, c.relation.rhs.subs(c.relation.lhs.indices[0], i + 1))
                    for c in bounds
                ]
                entries.append(_number(q, uniform, ranges.get(q.name), here, known | {q.letter: [*entries, 0.0]}))
        else:
            known[q.letter] = _number(q, uniform, ranges.get(q.name), [c.relation for c in bounds], known)
        values[q.name] = np.asarray(known[q.letter]) if q.length else known[q.letter]
    return values


def _ready(formula, q, known):
    needed = set()
    for condition in formula.conditions:
        if condition.quantity.name == q.name:
            bound = condition.relation.rhs
            needed |= {str(s) for s in bound.free_symbols if not hasattr(s, "indices")} - {q.letter, "g", "j", "h"}
    return needed <= set(known)


def _number(q, uniform, given, relations, known):
    low, high = q.domain.low, q.domain.high
    for relation in relations:
        bound = float(evaluated(relation.rhs, known, 30))
        low, high = (max(low, bound), high) if ">" in relation.rel_op else (low, min(high, bound))
    if not low <= high or (relations and high - low < LEAST_ROOM):
        raise Empty
    if q.domain.whole:
        first, last = given or (low, low + 30)
        low += any(relation.rel_op == ">" for relation in relations)
        return int(uniform(max(first, low, -(-low // 1)), min(last, high) + 0.999))
    span = given or EXPONENTS.get(q.name)
    if span and given and span[0] > 0 and span[1] > 100 * span[0]:
        value = np.exp(uniform(*np.log(span)))
        return _clipped(value, low, high, relations)
    if span:
        if max(low, span[0]) > min(high, span[1]):
            raise Empty
        return _clipped(uniform(max(low, span[0]), min(high, span[1])), low, high, relations)
    if np.isfinite(high):
        share = uniform(0.0, 1.0) or 1e-3 * q.domain.low_open
        share -= 1e-3 * (q.domain.high_open and share == 1)
        return _clipped(low + (high - low) * share, low, high, relations)
    if low > 0 or (relations and low != q.domain.low):
        return low + max(abs(low), 1e-3) * 10.0 ** uniform(-2.0, 3.0)
    middle = 0.0 if q.length or q.name in DECADES else np.log10(q.typical)
    first, last = DECADES.get(q.name, (middle - 2, middle + 2))
    return 10.0 ** uniform(first, last)


def _clipped(value, low, high, relations):
    """Away from the ends that conditions leave open."""
    if relations and np.isfinite(high - low):
        value = min(max(value, low + 1e-3 * (high - low)), high - 1e-3 * (high - low))
    elif relations and not low < value < high:
        raise Empty
    return float(value)


def seeded(formula, seed, count, ranges=None, sizes=None):
    """`count` points from a fixed seed."""
    generator, points = np.random.default_rng([seed, *formula.name.encode()]), []
    while len(points) < count:
        try:
            points.append(draw(formula, generator.uniform, ranges, sizes))
        except Empty:
            continue
    return points
