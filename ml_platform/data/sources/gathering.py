"""Gathering the shaped parts of a source: each row to its partition, each rejected row counted once, the rest noted."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from ml_platform.contracts.errors import SchemaMismatch, examples
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.sources.loaded import ORIGIN, REASON, Loaded, Target, nothing_rejected
from ml_platform.data.sources.shaping import PLACE, Shaped, rejected_rows


@dataclass(frozen=True)
class Place:
    """Where rows stand, and which rows may.

    Parameters
    ----------
    name : str
        The file, query or function.
    owns : function
        Tells of a partition whether its rows may stand here; a row of another one is rejected.
    otherwise : str
        What is said of such a row.
    home : str, optional
        Where a rejected row counts if nothing here tells a time. Else it counts with the earliest row here, so that it
        counts once whichever partitions are asked for.
    """

    name: str
    owns: Callable[[str], bool] = lambda _: True
    otherwise: str = ""
    home: str | None = None


@dataclass
class Gathering:
    """What was read so far.

    Parameters
    ----------
    target : Target
        What rows are.
    keys : sequence of str
        The partitions that are asked for.
    """

    target: Target
    keys: Sequence[str]
    good: list[pl.DataFrame] = field(default_factory=list)
    bad: list[pl.DataFrame] = field(default_factory=list)
    origins: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    filtered: int = 0
    outside: int = 0

    def add(self, place: Place, parts: Iterable[Shaped]) -> None:
        """Take over the parts of one place.

        Raises
        ------
        SchemaMismatch
            If no row tells a time, and the place has no home.
        """
        homeless: list[pl.DataFrame] = []
        seen: list[str] = []
        rows = 0
        for part in parts:
            good, bad = self._own(place, part)
            homeless.append(bad.filter(pl.col(PARTITION).is_null()))
            seen += [key for key in (self._earliest(good), self._earliest(bad)) if key is not None]
            self.outside += sum(int((~self._covered(each)).sum()) for each in (good, bad))
            self.filtered += int(part.filtered.is_in(list(self.keys)).sum())
            self.good.append(good.filter(self._asked(good)).drop(PLACE))
            self.bad.append(bad.filter(self._asked(bad)))
            rows += len(self.good[-1])
        if rows:
            self.origins[place.name] = rows
        self._settle(place.name, pl.concat([nothing_rejected(), *homeless]), min(seen, default=place.home))

    def ignore(self, what: str, names: Iterable[str]) -> None:
        """Remember columns that nobody asked for, and who has them first."""
        for name in names:
            self.ignored.setdefault(name, what)

    def loaded(self) -> Loaded:
        """Give all of it."""
        types = {**self.target.types, PARTITION: pl.String()}
        return Loaded(
            rows=pl.concat([pl.DataFrame(schema=types), *self.good]),
            rejected=pl.concat([nothing_rejected(), *self.bad]),
            origins=self.origins,
            notes=tuple(self._notes()),
        )

    def _own(self, place: Place, part: Shaped) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Give the rows that may stand here and those that are rejected, without a partition if theirs is another's."""
        keys = pl.concat([part.good[PARTITION], part.bad[PARTITION]]).drop_nulls().unique()
        others = [key for key in keys if not place.owns(key)]
        is_stray = part.good[PARTITION].is_in(others)
        strays = part.good.filter(is_stray)
        reason = f"{self.target.event_time}: in partition " + strays[PARTITION] + f", {place.otherwise}"
        rejected = rejected_rows(place.name, strays.drop(PARTITION), strays[PARTITION], reason)
        bad = part.bad.vstack(rejected)
        homeless = pl.when(~pl.col(PARTITION).is_in(others)).then(pl.col(PARTITION)).alias(PARTITION)
        return part.good.filter(~is_stray), bad.with_columns(homeless)

    def _settle(self, what: str, homeless: pl.DataFrame, home: str | None) -> None:
        if homeless.is_empty():
            return
        if home is None:
            raise SchemaMismatch.because(
                f"{what}: {self.target.event_time}",
                got=f"no row with a time; {examples(homeless[ORIGIN] + ' ' + homeless[REASON])}",
                expected="times, to tell the partition of each row",
                hint="name their format in source.time_formats, or mend the file",
            )
        if home in self.keys:
            self.bad.append(homeless.with_columns(pl.lit(home).alias(PARTITION)))

    def _asked(self, frame: pl.DataFrame) -> pl.Series:
        return frame[PARTITION].is_in(list(self.keys)).fill_null(value=False)

    def _covered(self, frame: pl.DataFrame) -> pl.Series:
        """Tell which rows lie in the pipeline's range, or tell no time."""
        span = self.target.calendar.partitions
        key = frame[PARTITION]
        return ((key >= span.start.isoformat()) & (key < span.end.isoformat())).fill_null(value=True)

    def _earliest(self, frame: pl.DataFrame) -> str | None:
        covered = frame[PARTITION].filter(self._covered(frame)).drop_nulls().sort()
        return covered[0] if len(covered) else None

    def _notes(self) -> Iterable[str]:
        span = self.target.calendar.partitions
        if self.ignored:
            first = next(iter(self.ignored.values()))
            yield f"columns ignored, first in {first}: {examples(self.ignored)}"
        if self.outside:
            yield f"{self.outside} rows outside {span.start} to {span.end}"
        if self.filtered:
            yield f"{self.filtered} rows left out by source.where"
