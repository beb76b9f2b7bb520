"""Advice as one page of text."""

import itertools


def page(advice):
    """The page of an Advice."""
    synthetic = sum(count for mark, count in advice.rows.items() if mark != advice.real)
    what = "classes, scored as targets of +1 and -1" if advice.task == "classification" else "regression"
    lines = [
        f"{advice.rows[advice.real]} real rows ({advice.real!r}), {synthetic} synthetic; {what}.",
        "In brackets: the middle 90 %.",
        "",
        *_section("Ridge", [f"{_number(advice.ridge)} of the mean squared error, columns standardised."]),
        *_section("Weight of a synthetic row, where a real one weighs 1; drop or keep", _weights(advice)),
        *_section("Worth", [_worth(advice)]),
        *_section("More real rows", [_more(advice)]),
        *_section("Is it collapsing? The error that labels carry, beside noise, against the truth", _collapse(advice)),
        *_section("Errors on real rows, each left out", _errors(advice)),
    ]
    if advice.notes:
        lines += _section("Mind", [f"{note[0].upper()}{note[1:]}." for note in map(str, advice.notes)])
    weights = {mark: float(f"{answer.value:.3g}") for mark, answer in advice.weights.items()}
    used = {name: value for name, value in advice.settings.items() if value is not None and value != "linear"}
    options = "".join(f", {name}={value!r}" for name, value in used.items())
    kind = "CollapseAwareClassifier" if advice.task == "classification" else "CollapseAwareRidge"
    model = f"modelcollapse.{kind}(weights={weights!r}, ridges=[{advice.ridge.value:.3g}]{options})"
    lines += _section("In Python", ["make_pipeline(StandardScaler(),", f"    {model})"])
    return "\n".join(lines).rstrip()


def _section(title, lines):
    return [title, *(f"  {line}" for line in lines), ""]


def _number(answer):
    return f"{_short(answer.value)} [{_short(answer.low)}, {_short(answer.high)}]"


def _short(value):
    if value >= 1e9:
        return "more than 1e9"
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def _weights(advice):
    for mark, answer in advice.weights.items():
        if not advice.keep[mark]:
            said = "drop them: the fit is better without"
        elif answer.low == 0:
            said = "keep them; with other rows they might be dropped"
        else:
            said = "keep them"
        yield f"{mark!r} ({advice.rows[mark]} rows): {_number(answer)}; {said}."


def _worth(advice):
    if not any(advice.keep.values()):
        return "None: the real rows by themselves are better than any mix that was tried."
    synthetic = sum(count for mark, count in advice.rows.items() if mark != advice.real)
    total = synthetic * advice.worth.value
    return (
        f"One synthetic row is worth {_number(advice.worth)} real ones: all of them do what "
        f"{_short(total)} more real rows would."
    )


def _more(advice):
    return f"For {100 * advice.gain:.0f} % less excess error: {_number(advice.more_rows)} more real rows."


def _collapse(advice):
    for mark, error in advice.label_errors.items():
        yield f"{mark!r}: {_number(error)}"
    values = list(advice.label_errors.values())
    if len(values) > 1:
        grows = all(later.value > earlier.value for earlier, later in itertools.pairwise(values))
        sure = values[-1].low > values[0].high
        said = ("grows", ", beyond doubt" if sure else ", within the error") if grows else ("does not grow", "")
        yield f"It {said[0]} from origin to origin in the order of the table{said[1]}."
    elif values:
        own = advice.report["excess"][0]
        yield f"The real rows by themselves give a model with an expected error of {_short(own)}."


def _errors(advice):
    report = advice.report
    rates = report.get("error_rate")
    for place, name in enumerate(report["candidate"]):
        line = f"{name:10} {report['error'][place]:.4g} ± {report['standard_error'][place]:.2g}"
        line += f", of which the model puts {report['excess'][place]:.3g} down to what the fit gets wrong"
        if rates is not None:
            line += f"; wrong class {100 * rates[place]:.1f} ± {100 * report['error_rate_error'][place]:.1f} %"
        yield line
