"""Write docs/formulas.md from the catalogue: `python docs/formulas_page.py`. A test compares the two."""

from importlib import import_module
from pathlib import Path

from modelcollapse.theory import records

PAGE = Path(__file__).with_name("formulas.md")
INTRODUCTION = """# The formulas

Every closed form of the package, generated from `modelcollapse.theory.catalogue` by `python docs/formulas_page.py`.
A record states where it holds: *exact* at every finite size, in the *proportional limit* (samples and directions grow
together; the relative deviation at finite size is of the order of one over the number of directions) or as a *scaling*
law (exponents). `catalogue[NAME].evaluate(...)` gives 30 digits, `.function()` the same in JAX; `modelcollapse formulas
NAME --set ...` is the shell's way.

Throughout, $\\mathrm{df}_q(\\kappa) = \\sum_j (s_j/(s_j+\\kappa))^q$ are degrees of freedom.
"""


def page():
    """The text of the page."""
    parts = [INTRODUCTION]
    for topic in records.TOPICS:
        parts.append(f"## {topic.replace('_', ' ').capitalize()}\n")
        parts += [_record(formula) for formula in import_module(f"{records.__name__}.{topic}").FORMULAS]
    return "\n".join(parts)


def _record(formula):
    lines = [f"### `{formula.name}`\n", f"{formula.title}.\n", f"$$\n{formula.latex()}\n$$\n"]
    lines += [f"- ${q.latex}$, `{q.name}`: in {q.domain}" for q in formula.quantities]
    lines += [f"- where `{condition.relation}`: {condition.sentence}" for condition in formula.conditions]
    lines += [f"\n*{formula.regime}*. Source: {formula.source}.\n"]
    if formula.derivation:
        lines += [f"{formula.derivation.strip()}\n"]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
