"""What holds of every pipeline, whatever its numbers: squares are not negative, parts add up, units do not matter.

A pipeline may be refused in one sentence (RuntimeError) where its numbers leave double precision; at the ordinary
level only where a model of infinite variance writes labels through a link. A hundred thousand pipelines take hours:

    MODELCOLLAPSE_EXAMPLES=4200 pytest -m slow tests/properties
"""

import os
import zlib

import numpy as np
import pytest
from hypothesis import Phase, event, given, seed, settings
from recipes import KINDS, LEVELS, Labels, Recipe, Step, recipes

import modelcollapse as mc

FEW, MANY = 5, int(os.environ.get("MODELCOLLAPSE_EXAMPLES", "400"))  # pipelines for each property at each level
RTOL = {"ordinary": 1e-9, "hard": 1e-8, "extreme": 1e-8}
ANGLES = 1e-6  # relative: scores that nearly cancel, or are nearly parallel, behind a filter of rows (docs/limits.md)
SCALES = {"ordinary": 4.0**3, "hard": 4.0**12, "extreme": 4.0**40}


def predicted(level, recipe, **change):
    """The prediction, or None where it is refused."""
    try:
        return mc.predict(recipe.build(**change))
    except RuntimeError as refused:
        if level == "ordinary" and np.isfinite([mc.predict(x.build()).test_error for x in recipe.behind_links()]).all():
            raise
        event(str(refused).split(" at ")[0])
        return None


def same(level, recipe, factor=1.0, **change):
    """The changed pipeline has the error of the given one, times a factor."""
    known, found = predicted(level, recipe), predicted(level, recipe, **change)
    if known is None or found is None:
        return
    for part in ("test_error", "bias", "variance", "clean"):
        if barely_trained(recipe) and (part != "bias" or any(step.kind == "kept" for step in recipe.steps)):
            continue  # classes are the signs of scores, however small these are
        with np.errstate(over="ignore"):
            here, there = getattr(known, part) * factor, getattr(found, part)
        if np.isinf(here) and np.isinf(there):
            continue
        assert abs(there - here) <= RTOL[level] * max(here, there) + rounding(recipe, known) * factor, (
            part,
            here,
            there,
        )


def barely_trained(recipe):
    """Whether training has learned so little that rounding shows in its variance (docs/limits.md)."""
    largest, least = max(s for s, _, _ in recipe.atoms), {"flow": 1e-6, "iterated": 1e-6, "refits": 1e-3}

    def seen(labels):  # the largest eigenvalue, of weighted inputs; shifted ones are square roots
        return labels.weight * (largest**0.5 if labels.shifted else largest)

    for step in recipe.steps:
        if step.kind in least:
            time = step.number if step.kind == "flow" else 1 / step.number
            if time * max(seen(labels) for labels in step.sources) < least[step.kind]:
                return True
    return False


def rounding(recipe, known):
    """What rounding leaves of labels that are differences of large multiples of models."""
    size = 1.0
    for step in recipe.steps:
        size *= max(1.0, *(sum(abs(c) for _, c in labels.models) for labels in step.sources)) ** 2
    energy = sum(s * signal for s, signal, _ in recipe.atoms)
    left = 1e-13 * size * energy if size > 1 else 1e-15 * energy
    mixed = any(len(labels.models) > 1 for step in recipe.steps if step.kind == "kept" for labels in step.sources)
    return left + ANGLES * known.test_error if mixed else left


def signs(level, recipe):
    known = predicted(level, recipe)
    if known is None:
        return
    for part in ("test_error", "bias", "variance", "clean"):
        assert getattr(known, part) >= 0, part
    for parts in ((known.bias, known.variance), (known.clean, known.collapse)):
        if np.all(np.isfinite(parts)):
            assert sum(parts) == pytest.approx(known.test_error, rel=1e-12, abs=1e-12 * max(np.abs(parts)))


def louder(level, recipe):
    known, found = predicted(level, recipe), predicted(level, recipe, louder=1.5)
    if known is not None and found is not None:
        floor = rounding(recipe, known)
        assert found.test_error >= known.test_error * (1 - RTOL[level]) - floor
        assert found.clean >= known.clean * (1 - RTOL[level]) - floor


def grid(level, recipe):
    factors = [1.0, 0.25, 2.0, 1.0, 8.0, 0.5, 3.0]
    whole = predicted(level, recipe, grid=factors)
    if whole is None:
        return
    for k in (0, 1):
        point = predicted(level, recipe, grid=factors[k])
        if point is not None:
            for part in ("bias", "variance", "clean"):
                here, there = getattr(whole, part)[k], getattr(point, part)
                slack = RTOL[level] * max(here, there) + rounding(recipe, point)
                assert here == there or abs(here - there) <= slack, (part, here, there)


PROPERTIES = {
    "no error is negative and parts add up": signs,
    "units": lambda level, recipe: same(level, recipe, SCALES[level], scale=SCALES[level]),
    "smaller units": lambda level, recipe: same(level, recipe, 1 / SCALES[level], scale=1 / SCALES[level]),
    "the order of sources": lambda level, recipe: same(level, recipe, backwards=True),
    "a source in two": lambda level, recipe: same(level, recipe, split=True),
    "equal eigenvalues in one atom": lambda level, recipe: same(level, recipe, doubled=True),
    "a grid is its points": grid,
    "more noise is never less error": louder,
}

IN_UNITS = tuple(kind for kind in KINDS if kind != "kept")  # classes have no unit
ONLY = {
    "the order of sources": ("ridge",),
    "a source in two": tuple(kind for kind in KINDS if kind not in ("chain", "accumulate")),
    "units": IN_UNITS,
    "smaller units": IN_UNITS,
    "more noise is never less error": tuple(k for k in IN_UNITS if k != "clipped"),  # louder scores are clipped more
}


def checked(name, level, examples):
    @seed(zlib.crc32(f"{name} {level}".encode()))
    @settings(max_examples=examples, deadline=None, database=None, phases=(Phase.generate, Phase.shrink))
    @given(recipes(level, kinds=ONLY.get(name, KINDS)))
    def run(recipe):
        PROPERTIES[name](level, recipe)

    run()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name, level):
    checked(name, level, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", PROPERTIES)
def test_property_on_many_pipelines(name, level):
    checked(name, level, MANY)


# What random recipes found, and what still fails of it.


def flows(first, second, atoms):
    """Two gradient flows, the second on labels of the first."""
    return Recipe(atoms, (Step("flow", (first,), 1.0), Step("flow", (second,), 0.5)))


TWO_ATOMS = ((0.1, 0.5, 1.0), (1.0, 7e-6, 1.0))
UNEVEN = (
    Labels(((0, 300.0), (0, 300.0)), 6.0, 1.0, 1e-12),
    Labels(((0, 1.0),), 6.0, 0.0, 1e5),
    Labels(((0, 1.0),), 6.0, 8e-135, 1e5, True),
)
LOUD = ((0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (1e81, 1.0, 1.0)), (Labels(((0, 1.0),), 1.0, 1e124, 1.0, True),)
FOUND = {
    "an error at the end of double precision": (
        "a grid is its points",
        "extreme",
        Recipe(LOUD[0], (Step("ridge", LOUD[1], 1.0),)),
    ),
    "a curve over times at the end of double precision": (
        "a grid is its points",
        "extreme",
        Recipe(LOUD[0], (Step("flow", LOUD[1], 1.0),)),
    ),
    "labels that diverge, and part of them taken off": (
        "the order of sources",
        "extreme",
        Recipe(
            ((1.0, 1.0, 1.0),),
            (
                Step("ridge", (Labels(((0, 1.0),), 1.0, 1.0),), 0.0),
                Step("ridge", (Labels(((0, 1.0),), 1.0, 0.0), Labels(((1, 1.0),), 1.0, 0.0)), 0.0),
                Step(
                    "ridge",
                    tuple(Labels(models, 1.0, 0.0) for models in (((0, 1.0),), ((1, 1.0),), ((1, 0.5), (2, -0.5)))),
                    0.0,
                ),
            ),
        ),
    ),
    "a verifier that judges nearly its own multiple": (
        "a source in two",
        "hard",
        Recipe(
            ((0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.5, 1.0, 1.0)),
            (Step("kept", (Labels(((0, 0.5), (0, -0.4999999995)), 1.0, 0.0),), 0.0),),
        ),
    ),
    "a flow minus nearly itself": (
        "no error is negative and parts add up",
        "hard",
        flows(
            Labels(((0, 300.0), (0, -90.0)), 5.000005, 2.58, 1e12, True),
            Labels(((1, 1.000000001), (1, -1.0)), 35.0, 0.0, 1e12),
            ((0.1, 2.58, 5.0),),
        ),
    ),
    "weights of seventeen decades": (
        "no error is negative and parts add up",
        "extreme",
        Recipe(((0.0, 8e-135, 2.0), (0.1, 0.5, 2.0), (1.0, 1.0, 2.0)), (Step("ridge", UNEVEN, 0.0),)),
    ),
    "units of a flow that barely starts": (
        "units",
        "hard",
        flows(Labels(((0, 1.0),), 8.0, 0.0, 1e-12, True), Labels(((1, 1.0),), 2.2, 1.67e7, 1e-5, True), TWO_ATOMS),
    ),
    "refits on shifted inputs that barely start": (
        "equal eigenvalues in one atom",
        "hard",
        Recipe(
            ((1e9, 1e-10, 1.0), (0.00127, 1.0, 1.0), (1.0, 1.0, 1.0)),
            (
                Step("ridge", (Labels(((0, 1.0),), 1.0, 1.0),), 1.0),
                Step("refits", (Labels(((1, 1.0),), 1.0, 0.0, 1e-12, True),), 1.0),
            ),
        ),
    ),
    "a source that diverges, of other inputs": (
        "the order of sources",
        "ordinary",
        Recipe(
            ((0.4, 60.0, 5.0),),
            (
                Step("ridge", (Labels(((0, 1.0),), 10.0, 1.0),), 0.02),
                Step("ridge", (Labels(((1, 1.0),), 5.0, 1.0),), 0.0),
                Step("ridge", (Labels(((1, 1.0),), 25.0, 1.0), Labels(((2, 1.0),), 1.0, 1.0, 1.0, True)), 0.1),
            ),
        ),
    ),
    "a curve of short times": (
        "a grid is its points",
        "hard",
        flows(Labels(((0, 1.0),), 8.0, 0.5), Labels(((0, 1.0),), 2.2, 1.67e7, 1e-8), TWO_ATOMS),
    ),
    "a curve of short times on a flow's labels": (
        "a grid is its points",
        "hard",
        flows(Labels(((0, 1.0),), 8.0, 1e6), Labels(((1, 1.0),), 2.2, 0.0, 1e-8), TWO_ATOMS),
    ),
}


@pytest.mark.parametrize("case", FOUND)
def test_found(case):
    name, level, recipe = FOUND[case]
    PROPERTIES[name](level, recipe)
