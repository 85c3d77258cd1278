"""What the parts of the spec are made of: durations, names, shares, paths, SQL expressions, and their base class."""

import re
from datetime import timedelta
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

_DURATION = re.compile(r"(\d{1,5})([wdhm])")
_UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_OWNER = re.compile(r"team:.+|\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")  # what Dagster takes
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_HIDES = re.compile(r"\\|\$|--|/\*|`")  # what may make a quote look closed that is not: then no text is skipped
_BEYOND = re.compile(
    r";|\b(?:select|current_(?:date|time|timestamp)|localtime(?:stamp)?)\b"
    r"|\b(?:read_\w+|scan_\w+|over|now|random|columns|any|all|some|exists)\s*\("
    r"|\(\s*(?:from|table|values|with)\b",
    re.IGNORECASE,
)
NAME = r"^[a-z][a-z0-9_]{0,62}$"


def read_duration(value: object) -> object:
    """Read `2w`, `7d`, `6h` or `30m` (minutes); anything else is left to the next validator, or refused."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a duration like 2w, 7d or 6h")
    return int(match[1]) * _UNITS[match[2]]


def write_duration(value: timedelta) -> str:
    """Write a duration as an author would."""
    minutes = int(value.total_seconds() // 60)
    if minutes % 60:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes % 1440 else f"{minutes // 1440}d"


def _whole_days(value: timedelta) -> timedelta:
    if value % timedelta(days=1):
        raise ValueError("expected whole days, like 7d")
    return value


def some_time(value: timedelta) -> timedelta:
    """Refuse no time at all."""
    if value <= timedelta(0):
        raise ValueError("expected more than no time")
    return value


def _known_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("expected an IANA time zone, like America/New_York")
    return value


def _owner(value: str) -> str:
    if not _OWNER.fullmatch(value):
        raise ValueError("expected an e-mail address or team:<name>")
    return value


def _distinct(names: list[str]) -> list[str]:
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise ValueError(f"expected each name once, not {', '.join(dict.fromkeys(twice))} again")
    return names


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError(
            "expected the name of an environment variable, like TAXI_DATABASE_URL; never the secret itself"
        )
    return value


def _of_one_row(text: str) -> str:
    """Refuse what reaches beyond the columns of a row: polars would run a subquery, and open the files it names."""
    seen = text if _HIDES.search(text) else _QUOTED.sub("''", text)
    if match := _BEYOND.search(seen):
        raise ValueError(f"expected an expression over one row's columns, without {' '.join(match[0].split())}")
    return text


Duration = Annotated[timedelta, BeforeValidator(read_duration), PlainSerializer(write_duration, return_type=str)]
SomeTime = Annotated[Duration, AfterValidator(some_time)]
Days = Annotated[Duration, AfterValidator(_whole_days)]
SomeDays = Annotated[Days, AfterValidator(some_time)]
Share = Annotated[float, Field(ge=0, le=1)]
Owner = Annotated[str, AfterValidator(_owner)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Names = Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)]
Variable = Annotated[str, AfterValidator(_variable)]
PythonPath = Annotated[str, Field(pattern=r"^\.?[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")]
SqlExpression = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_of_one_row)]


class SpecPart(BaseModel):
    """Base of every part of the spec: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
