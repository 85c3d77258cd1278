"""What may leave the lake: files that neither the newest version of a table nor a version somebody relies on needs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from ml_platform.contracts.records import TableVersion
from ml_platform.data.lake.history import ENTRY, lineage_of
from ml_platform.data.lake.manifest import DIGEST
from ml_platform.data.lake.tables import Lake


def needed_versions(
    lake: Lake, tables: Sequence[str], named: Iterable[TableVersion], manifests: Iterable[str]
) -> dict[str, list[int]]:
    """Give the versions of each table that models were trained from.

    Parameters
    ----------
    named : iterable of TableVersion
        What the models' bundles name.
    manifests : iterable of str
        Digests of the manifests of their training sets; a version that holds such a training set is needed too.
    """
    needed: dict[str, set[int]] = {table: set() for table in tables}
    for each in named:
        needed.setdefault(each.table, set()).add(each.version)
    known = set(manifests)
    for table in tables:
        commits = lake.commits(table)
        needed[table] |= {c["version"] for c in commits if ENTRY in c and lineage_of(c).get(DIGEST) in known}
    return {table: sorted(needed[table]) for table in tables}


def vacuum(lake: Lake, needed: Mapping[str, Sequence[int]], keep: timedelta, *, is_dry: bool) -> dict[str, list[str]]:
    """Remove from each table what neither its newest version nor a needed one holds; give the files removed."""
    return {table: lake.vacuum(table, keep, versions, is_dry=is_dry) for table, versions in needed.items()}
