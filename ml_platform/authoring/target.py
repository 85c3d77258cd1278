"""What kind of target a column is, and whether there is enough of it to learn from."""

import polars as pl

from ml_platform.contracts.errors import NotEnoughRows, SpecError, examples
from ml_platform.contracts.metrics import Task

KNOWN_AT_LEAST = 300
OF_EACH_AT_LEAST = 30
FEW_NUMBERS = 10  # integers with so few values may be classes
CLASSES_AT_MOST = 20  # more are rather names than outcomes


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
        return _of_words(target, distinct, asked)
    if not target.dtype.is_numeric() and target.dtype != pl.Boolean:
        raise _refused(target, str(target.dtype), "a number or true and false", "name a --target-sql that gives one")
    return _of_numbers(target, distinct, asked)


def require_quantile(task: Task, quantile: float | None) -> None:
    """Refuse a quantile of what is no number.

    Raises
    ------
    SpecError
        If the task is none that has quantiles.
    """
    if quantile is not None and task != "regression":
        raise SpecError.because(
            f"--quantile {quantile:g}", got=f"a {task} target", expected="a target of numbers",
            hint="leave it out, or --task regression",
        )  # fmt: skip


def _of_numbers(target: pl.Series, distinct: pl.Series, asked: Task | None) -> Task:
    is_binary = target.dtype == pl.Boolean or distinct.cast(pl.Float64).to_list() == [0.0, 1.0]
    if asked == "binary" and not is_binary:
        hint = f"--target-sql '{quoted(target.name)} > ...' makes one"
        raise _refused(target, f"{len(distinct)} numbers", "0 and 1, or true and false", hint)
    if asked is None and not is_binary and target.dtype == pl.Int64 and len(distinct) <= FEW_NUMBERS:
        got = f"{len(distinct)} whole numbers ({examples(distinct)}): classes or amounts?"
        hint = "--task multiclass if they are classes, --task regression if they are amounts"
        raise _refused(target, got, "a task that fits one way", hint)
    if asked == "multiclass":
        return _of_classes(target, distinct)
    if asked == "regression" and target.dtype == pl.Boolean:
        raise _refused(target, "true and false", "numbers", "--task binary")
    task: Task = asked or ("binary" if is_binary else "regression")
    if task == "binary":
        _require_each(target)
    return task


def _of_classes(target: pl.Series, distinct: pl.Series) -> Task:
    if target.dtype not in (pl.String, pl.Int64):
        hint = (
            "--task binary" if target.dtype == pl.Boolean else "--task regression, or a --target-sql of whole numbers"
        )
        raise _refused(target, str(target.dtype), "words or whole numbers, as --task is multiclass", hint)
    if len(distinct) > CLASSES_AT_MOST:
        got, hint = f"{len(distinct)} classes ({examples(distinct)})", "join rare ones by --target-sql"
        raise _refused(target, got, f"at most {CLASSES_AT_MOST}", hint)
    _require_each(target)
    return "multiclass"


def _require_each(target: pl.Series) -> None:
    fewest = target.drop_nulls().value_counts()["count"].min()
    _require_rows(int(str(fewest)), OF_EACH_AT_LEAST, f"{target.name}: rows of its rarest value")


def quoted(column: str) -> str:
    """Write a column's name for SQL."""
    return column if column.isidentifier() and column.islower() else '"' + column.replace('"', '""') + '"'


def _of_words(target: pl.Series, distinct: pl.Series, asked: Task | None) -> Task:
    say = f"--target-sql \"{quoted(target.name)} = '{distinct[-1]}'\""
    if asked == "multiclass" or (asked is None and len(distinct) > 2):
        return _of_classes(target, distinct)
    got = f"{'two' if len(distinct) == 2 else len(distinct)} words, {examples(distinct)}"
    if asked == "regression":
        raise _refused(target, got, "numbers, as --task is regression", "--task multiclass")
    hint = f"say which one is predicted: {say}; or --task multiclass"
    raise _refused(target, got, "true and false, or 0 and 1", hint)


def _require_rows(got: int, wanted: int, what: str) -> None:
    if got < wanted:
        raise NotEnoughRows.because(
            what, got=f"{got} in the sample", expected=f"at least {wanted}",
            hint="bring more history, or check --target and --where",
        )  # fmt: skip


def _refused(target: pl.Series, got: str, expected: str, hint: str) -> SpecError:
    return SpecError.because(f"--target {target.name}", got=got, expected=expected, hint=hint)
