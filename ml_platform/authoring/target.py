"""What kind of target a column is, and whether there is enough of it to learn from."""

import polars as pl

from ml_platform.contracts.errors import NotEnoughRows, SpecError, examples
from ml_platform.contracts.metrics import Task

KNOWN_AT_LEAST = 300
OF_EACH_AT_LEAST = 30
FEW_NUMBERS = 10  # integers with so few values may be classes


def require_target(target: pl.Series, asked: Task | None) -> Task:
    """Tell the task of a target, or hold the author's against it.

    Raises
    ------
    SpecError
        If no task fits, or two would.
    NotEnoughRows
        If too few rows have a target, or one of its two values hardly occurs.
    """
    known = target.drop_nulls()
    _require_rows(len(known), KNOWN_AT_LEAST, f"{target.name}: rows in which it is known")
    distinct = known.unique().sort()
    if len(distinct) == 1:
        raise _refused(target, f"always {distinct[0]}", "two values or more", "mend --target-sql or --where")
    if target.dtype == pl.String:
        raise _words(target, distinct)
    if not target.dtype.is_numeric() and target.dtype != pl.Boolean:
        raise _refused(target, str(target.dtype), "a number or true and false", "name a --target-sql that gives one")
    return _of_numbers(target, distinct, asked)


def _of_numbers(target: pl.Series, distinct: pl.Series, asked: Task | None) -> Task:
    is_binary = target.dtype == pl.Boolean or distinct.cast(pl.Float64).to_list() == [0.0, 1.0]
    if asked == "binary" and not is_binary:
        hint = f"--target-sql '{quoted(target.name)} > ...' makes one"
        raise _refused(target, f"{len(distinct)} numbers", "0 and 1, or true and false", hint)
    if asked is None and not is_binary and target.dtype == pl.Int64 and len(distinct) <= FEW_NUMBERS:
        got = f"{len(distinct)} whole numbers ({examples(distinct)}): classes or amounts?"
        hint = "--task regression if they are amounts; there is no multiclass task yet, --target-sql picks one class"
        raise _refused(target, got, "a task that fits one way", hint)
    if asked == "regression" and target.dtype == pl.Boolean:
        raise _refused(target, "true and false", "numbers", "--task binary")
    task: Task = asked or ("binary" if is_binary else "regression")
    if task == "binary":
        fewest = target.drop_nulls().value_counts()["count"].min()
        _require_rows(int(str(fewest)), OF_EACH_AT_LEAST, f"{target.name}: rows of its rarer value")
    return task


def quoted(column: str) -> str:
    """Write a column's name for SQL."""
    return column if column.isidentifier() and column.islower() else '"' + column.replace('"', '""') + '"'


def _words(target: pl.Series, distinct: pl.Series) -> SpecError:
    say = f"--target-sql \"{quoted(target.name)} = '{distinct[-1]}'\""
    if len(distinct) == 2:
        got, hint = f"two words, {examples(distinct)}", f"say which one is predicted: {say}"
        return _refused(target, got, "true and false, or 0 and 1", hint)
    got, hint = f"{len(distinct)} words ({examples(distinct)})", f"predict one of them: {say}"
    return _refused(target, got, "two classes or a number: there is no multiclass task yet", hint)


def _require_rows(got: int, wanted: int, what: str) -> None:
    if got < wanted:
        raise NotEnoughRows.because(
            what, got=f"{got} in the sample", expected=f"at least {wanted}",
            hint="bring more history, or check --target and --where",
        )  # fmt: skip


def _refused(target: pl.Series, got: str, expected: str, hint: str) -> SpecError:
    return SpecError.because(f"--target {target.name}", got=got, expected=expected, hint=hint)
