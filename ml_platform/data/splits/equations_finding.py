"""What the leakage certificate says of equations between the features and the columns of the target."""

from collections.abc import Iterator

import polars as pl

from ml_platform.contracts.errors import EXAMPLES_AT_MOST, examples
from ml_platform.contracts.records import LeakageFinding
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.splits.arithmetic import ArithmeticLeak, Roles, arithmetic_leaks
from ml_platform.data.splits.parts import LABEL
from ml_platform.data.splits.target_columns import PREFIX, late_columns, source_columns
from ml_platform.data.splits.telling import strengths

EQUATIONS = "no_equation_tells_the_label"


def equations_finding(rows: pl.DataFrame, spec: PipelineSpec) -> LeakageFinding:
    """Look for equations that make the target, or a column that it is made of, from features.

    Parameters
    ----------
    rows : (n_rows, ...)
        Of a training set, with the columns that `target_columns.carried_columns` names, in the order of time.
    """
    task, allowed = spec.label.task, {*spec.split.may_tell_label}
    roles, missing = _roles(rows, spec)
    leaks = arithmetic_leaks(rows, roles, task, lambda columns: strengths(rows, columns, task))
    certain = [leak for leak in leaks if leak.is_certain and not {*leak.features} <= allowed]
    return LeakageFinding(
        name=EQUATIONS,
        outcome="violated" if certain else "warned" if leaks else "ok",
        sentence=" ".join(
            _equation_sentences(roles, certain, [leak for leak in leaks if leak not in certain], missing)
        ),
        numbers={"columns_looked_for": len(roles.targets), "violations": len(certain), "equations": len(leaks)},
        examples=tuple(leak.equation for leak in (certain or leaks)[:EXAMPLES_AT_MOST]),
    )


def _roles(rows: pl.DataFrame, spec: PipelineSpec) -> tuple[Roles, list[str]]:
    """Return what the columns of a training set are, and the target's columns that it does not have as numbers."""
    shown = {name: name.removeprefix(PREFIX) for name in rows.columns if name.startswith(PREFIX)}
    held = {raw: name for name, raw in shown.items() if rows[name].null_count() < len(rows)}
    sources, late = source_columns(spec), late_columns(spec)
    roles = Roles(
        features=spec.features.columns,
        label=None if rows.schema[LABEL] == pl.String else LABEL,
        sources=[held[name] for name in sources if name in held],
        late=[held[name] for name in late if name in held],
        inputs=[name for raw, name in held.items() if raw not in (*sources, *late)],
        shown=shown | {LABEL: spec.label.column},
    )
    return roles, [name for name in (*sources, *late) if name not in held]


def _equation_sentences(
    roles: Roles, certain: list[ArithmeticLeak], others: list[ArithmeticLeak], missing: list[str]
) -> Iterator[str]:
    if certain:
        named = examples(f"{leak.equation} (by {', '.join(leak.features)})" for leak in certain)
        yield f"A column of the target is made of features: {named}."
    if others:
        named = examples(f"{leak.equation} (by {', '.join(leak.features)})" for leak in others)
        yield f"Allowed by the spec, or not telling the label by itself: {named}."
    if not certain and not others and roles.targets:
        named = examples(roles.name(name) for name in roles.targets)
        yield f"No sum, difference, product or ratio of features was found that makes {named}."
    if missing:
        yield f"Not looked at, as the training set does not hold them as numbers: {examples(missing)}."
    if not roles.targets and not missing:
        yield "The label is no number, and made of none: nothing was looked for."
