"""The catalogue: every closed form of the theory, by name.

One module per topic; each lists its records in `FORMULAS`. The mapping is read-only.

>>> from modelcollapse.theory import catalogue
>>> catalogue["clean_error"].regime
'proportional limit'
>>> round(float(catalogue["label_mixing_best_share"].evaluate()), 3)
0.618
>>> all(formula.name == name for name, formula in catalogue.items())
True
"""

from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType

TOPICS = (
    "effective_ridges",
    "degrees_of_freedom",
    "clean_errors",
    "collapse_rates",
    "finite_sizes",
    "one_pass",
    "repeated_fits",
    "mixtures",
    "label_mixing",
    "accumulation",
    "workflows",
    "exponents",
    "optimal_exponents",
    "crossovers",
    "optimal_ridges",
    "optimal_teachers",
    "gaussian_chains",
    "discrete_chains",
    "rare_events",
    "founders",
    "lost_information",
    "random_features",
    "classes",
    "class_exponents",
    "votes",
    "verification",
    "self_distillation",
)


class _Catalogue(dict):
    """A name that is not there is answered with the nearest ones."""

    def __missing__(self, name):
        close = get_close_matches(str(name), self) or sorted(self)
        raise KeyError(f"there is no formula {name!r}; there is {', '.join(close)}")


def _collected():
    found = _Catalogue()
    for topic in TOPICS:
        for formula in import_module(f"{__name__}.{topic}").FORMULAS:
            if formula.name in found:
                raise ValueError(f"two records are named {formula.name}")
            found[formula.name] = formula
    return MappingProxyType(found)


catalogue = _collected()
