"""Recipes of random pipelines at three levels of difficulty, and the changes under which their errors are known.

A recipe is plain data, so that one pipeline can be built twice: as it is, and changed. Its sizes are few (up to six
atoms, three sources, three steps), so that the properties run on kernels that are compiled once.

    ordinary    numbers of two decades around one
    hard        eigenvalues of zero and of twenty decades, samples and features a hair from the dimension, weights of
                1e-12 to 1e12, labels that are differences of nearly equal models
    extreme     numbers of 1e-150 to 1e150
"""

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

import modelcollapse as mc

LEVELS = ("ordinary", "hard", "extreme")
KINDS = ("ridge", "flow", "iterated", "refits", "features", "sgd", "chain", "accumulate", "clipped", "kept")
WEIGHTS_OF_REFITS = (0.5, -0.5, 1.0, 3.0)


@dataclass(frozen=True)
class Labels:
    """Rows labelled by Σ coefficient · model, given as pairs (model, coefficient); model 0 is the truth."""

    models: tuple
    samples: float
    noise: float
    weight: float = 1.0
    shifted: bool = False


@dataclass(frozen=True)
class Step:
    """A fit of some kind.

    number: its ridge, time or penalty, or its step beside the largest that is stable; more: its rounds, generations,
    features or batch.
    """

    kind: str
    sources: tuple
    number: float
    more: float = 1


@dataclass(frozen=True)
class Recipe:
    """Atoms (eigenvalue, signal, multiplicity) and steps."""

    atoms: tuple
    steps: tuple

    def build(self, scale=1.0, louder=1.0, backwards=False, split=False, doubled=False, grid=None):
        """The pipeline, changed.

        scale : eigenvalues, ridges and noise variances times this number: so is the error
        louder : standard deviations of the noise times this number
        backwards : the sources of every fit in the other order
        split : every source in two of half its rows
        doubled : the first atom in two, with other shares of its signal than of its multiplicity
        grid : the number of the last step times these
        """
        atoms = list(self.atoms)
        if doubled:
            (s, signal, multiplicity), *rest = atoms
            atoms = [(s, signal * part, multiplicity * (1 - part)) for part in (0.25, 0.75)] + rest
        s, signal, multiplicity = np.array(atoms).T
        models = [mc.truth(mc.Spectrum(scale * s, signal, multiplicity))]

        def sources_of(step):
            for labels in step.sources[:: -1 if backwards else 1]:
                labeller = _mixed([(models[k], c) for k, c in labels.models])
                shifted = (lambda s: np.sqrt(s / scale) * scale) if labels.shifted else None
                given = {"weight": labels.weight, "inputs": shifted, **_judged(step, models[0], scale)}
                for part in (0.5, 0.5) if split else (1,):
                    noise = labels.noise * louder * scale**0.5
                    yield labeller.label(labels.samples * part, noise, **given)

        for step in self.steps:
            number = step.number * {"flow": 1 / scale, "sgd": 1.0}.get(step.kind, scale)
            if grid is not None and step is self.steps[-1]:
                number = number * np.asarray(grid)
            models.append(_fitted(step, number, models, sources_of, louder * scale**0.5))
        return models[-1]

    def behind_links(self):
        """The recipes of the fits whose labels pass through a link."""
        places = {
            k for step in self.steps if step.kind in ("clipped", "kept") for one in step.sources for k, _ in one.models
        }
        return [replace(self, steps=self.steps[:k]) for k in sorted(places) if k]


def _mixed(terms):
    (model, coefficient), *others = terms
    labeller = model if not others and coefficient == 1 else coefficient * model
    for model, coefficient in others:
        labeller = labeller + coefficient * model
    return labeller


def _judged(step, truth, scale):
    """A link that keeps units, or labels of which a verifier keeps some."""
    if step.kind == "clipped":
        return {"link": mc.Clip(2.0 * scale**0.5)}
    return {"link": "sign", "keep": mc.Verified(truth, 0.9, 0.3)} if step.kind == "kept" else {}


def _stable_step(number, sources, batch):
    """The share 0.999 number/(1 + number) of a step that is stable on the inputs of the sources."""
    (source, *_) = sources
    s, multiplicity = source.model.spectrum.eigenvalues, source.model.spectrum.multiplicity
    s = s if source.shift is None else source.shift(s)
    return (
        0.999 * number / (1 + number) * 2 * batch / (np.sum(s * multiplicity) + (batch + 1) * s.max()) / source.weight
    )


def _fitted(step, number, models, sources_of, louder):
    if step.kind in ("chain", "accumulate"):
        (labels,) = step.sources
        start = _mixed([(models[k], c) for k, c in labels.models])
        repeat = mc.chain if step.kind == "chain" else mc.accumulate
        return repeat(start, int(step.more), labels.samples, labels.noise * louder, number)
    sources = tuple(sources_of(step))
    if step.kind == "flow":
        return mc.fit(*sources, filter=mc.GradientFlow(number))
    if step.kind == "iterated":
        return mc.fit(*sources, filter=mc.IteratedRidge(number, int(step.more)))
    if step.kind == "refits":
        return mc.fit(
            *sources, filter=mc.SelfDistillation(number, WEIGHTS_OF_REFITS[int(step.more) % 4], int(step.more))
        )
    if step.kind == "sgd":
        return mc.fit(*sources, filter=mc.OnePassSGD(_stable_step(number, sources, step.more), step.more))
    return mc.fit(*sources, ridge=number, features=step.more if step.kind == "features" else None)


def _numbers(level):
    """Positive numbers of a level: a few simple ones first, to which examples shrink."""
    decades = {"ordinary": 2, "hard": 10, "extreme": 150}[level]
    return st.sampled_from([1.0, 0.5, 0.1]) | st.floats(-decades, decades).map(lambda x: float(f"{10**x:.3g}"))


@st.composite
def recipes(draw, level, *, kinds=KINDS, sources=3):
    """Recipes of a level whose steps are of some kinds, the last one a fit on up to so many sources."""
    positive = _numbers(level)
    zero_or = st.just(0.0) | positive
    hard = level != "ordinary"
    eigenvalues = draw(st.lists(zero_or if hard else positive, min_size=1, max_size=6, unique=True))
    if not any(eigenvalues):
        eigenvalues = [1.0]
    multiplicity = draw(st.sampled_from([1.0, 2.0, 5.0]))
    atoms = tuple((s, draw(positive), multiplicity) for s in eigenvalues)
    assume(sum(s * signal for s, signal, _ in atoms) < 1e250)  # more is refused, in some unit or other
    dim = multiplicity * sum(s > 0 for s in eigenvalues)
    rows = st.integers(1, 40).map(float)
    if hard:
        near = st.sampled_from([1e-12, 1e-6, 1e-3, 0.1, 0.5])
        rows |= near.map(lambda x: dim * (1 + x)) | near.map(lambda x: dim * (1 - x)) | st.floats(0.5, 300)

    def labels(known, weight):
        terms = [(draw(st.integers(0, known - 1)), 1.0)]
        if draw(st.booleans()):
            size = draw(st.sampled_from([1.0, -1.0, 0.3, 1 - 1e-9]) if hard else st.sampled_from([0.5, -0.3]))
            terms = [(terms[0][0], draw(st.sampled_from([0.5, 1.0, 1 + 1e-9, 300.0]) if hard else st.just(0.5)))]
            terms.append((draw(st.integers(0, known - 1)), size * (-terms[0][1] if hard else 1)))
        return Labels(tuple(terms), draw(rows), draw(zero_or), weight, draw(st.booleans()))

    steps = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(kinds))
        count = draw(st.integers(1, sources)) if kind == "ridge" else 1
        weights = st.sampled_from([1.0, 0.5, 2.0]) if not hard else st.sampled_from([1.0, 1e-12, 1e-5, 1e5, 1e12])
        number = draw(positive if kind in ("flow", "iterated", "refits", "sgd") else zero_or)
        more = draw(rows) if kind == "features" else float(draw(st.integers(1, 5)))
        drawn = tuple(labels(len(steps) + 1, draw(weights)) for _ in range(count))
        if kind == "sgd":
            drawn = tuple(replace(one, samples=more * max(1, round(one.samples / more))) for one in drawn)
        steps.append(Step(kind, drawn, number, more))
    return Recipe(atoms, tuple(steps))
