"""From the source of a spec to the reader that loads it; what can be wrong with its expressions is found at once."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.spec import FilesSource, PipelineSpec, PythonSource
from ml_platform.data.sources.casting import TextRules, check_time_format
from ml_platform.data.sources.expressions import Expressions
from ml_platform.data.sources.files import FilesReader
from ml_platform.data.sources.loaded import Reader, Target
from ml_platform.data.sources.locations import Location
from ml_platform.data.sources.python import Load, PythonReader
from ml_platform.data.sources.shaping import Shaper
from ml_platform.data.sources.sql import SqlReader
from ml_platform.orchestration.resources import read_options, read_variable
from ml_platform.orchestration.spec_faults import Fault


def reader_of(spec: PipelineSpec, target: Target, folder: Path, function: Load | None) -> Reader:
    """Make the reader of a source; variables of the environment are read when it loads.

    Parameters
    ----------
    folder : Path
        Where relative paths begin.
    function : Load, optional
        The author's function, of a source that is one.
    """
    source = spec.source
    shaper = Shaper(target, Expressions(source.derive, source.where), _text_rules(spec))
    if isinstance(source, PythonSource):
        assert function is not None  # noqa: S101 - it was found, or the spec refused
        return PythonReader(source.load, function, shaper)
    if isinstance(source, FilesSource):
        variable = source.options_env
        return FilesReader(Location(source, folder, lambda: read_options(variable) if variable else {}), shaper)
    return SqlReader(source, lambda: read_variable(source.url_env), shaper)


def source_faults(spec: PipelineSpec, target: Target) -> Iterator[Fault]:
    """Try time formats, and hold `derive` and `where` against the schema's types; other columns may be of any type."""
    source = spec.source
    known = {name: dtype for name, dtype in target.types.items() if name not in source.derive}
    tries: list[Callable[[], object]] = [lambda: Expressions(source.derive, source.where).fit(known)]
    if isinstance(source, FilesSource):
        tries += [lambda form=form: check_time_format(form) for form in source.time_formats]
    for each in tries:
        try:
            each()
        except SpecError as error:
            yield _fault(error)


def _fault(error: SpecError) -> Fault:
    field, _, said = str(error).partition(": got ")
    got, _, rest = said.partition(", expected ")
    expected, _, hint = rest.partition(". Hint: ")
    return Fault(tuple(field.split(".")), got, expected, hint)


def _text_rules(spec: PipelineSpec) -> TextRules:
    source = spec.source
    zone = getattr(source, "timezone", None) or spec.partitions.timezone
    files: Mapping[str, Any] = {}
    if isinstance(source, FilesSource):
        files = {"time_formats": tuple(source.time_formats), "nulls": tuple(source.null_values)}
    return TextRules(zone, **files)
