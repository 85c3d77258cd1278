"""Reading again what a training set was made from: table versions of the past, and whether they hold what they held."""

from collections.abc import Iterable

from deltalake.exceptions import DeltaError

from ml_platform.contracts.errors import NotReproducible, examples
from ml_platform.contracts.records import Content, Difference, TableContent, TrainingManifest
from ml_platform.data.lake.content import content_hashes
from ml_platform.data.lake.history import ENTRY, contents_of, lineage_of
from ml_platform.data.lake.manifest import DIGEST, MANIFEST
from ml_platform.data.lake.tables import Lake, rows_by_partition

SHOWN = 12


def kept_training_set(lake: Lake, table: str, digest: str | None, as_of: str) -> tuple[TrainingManifest, Content]:
    """Give the manifest that a training set was written with, and what it held.

    Parameters
    ----------
    table : str
        Of the training sets.
    digest : str or None
        Of the manifest, as a bundle names it.

    Raises
    ------
    NotReproducible
        If no version of the table has it.
    """
    for commit in lake.commits(table):
        if ENTRY in commit and digest is not None and (said := lineage_of(commit)).get(DIGEST) == digest:
            return TrainingManifest.model_validate(said[MANIFEST]), contents_of(commit)[as_of]
    raise NotReproducible.because(
        f"{table}: training manifest", got="none of this digest", expected=(digest or "a digest")[:SHOWN],
        hint="the table was removed or written by others: without the manifest nothing says what was read",
    )  # fmt: skip


def require_readable(lake: Lake, table: str, version: int) -> None:
    """Refuse a table version that is not in the table's log any more, or was never.

    Raises
    ------
    NotReproducible
        Names the table and the version.
    """
    newest = lake.version(table)
    if not 0 <= version <= newest:
        raise NotReproducible.because(
            table, got="no such table" if newest < 0 else f"versions up to {newest}", expected=f"version {version}",
            hint="restore the lake that the version was trained from",
        )  # fmt: skip


def reread(lake: Lake, then: TableContent) -> list[Difference]:
    """Read a table version again and name the partitions that do not hold what they held.

    Raises
    ------
    NotReproducible
        If files of that version are gone; names the partitions, and those of them that hold other rows by now.
    """
    require_readable(lake, then.table, then.version)
    keys = list(then.partitions)
    try:
        held = _contents(lake, then, keys)
    except (OSError, DeltaError):
        raise _gone(lake, then) from None
    return _differences(then, held)


def written_since(lake: Lake, then: TableContent) -> list[Difference]:
    """Name the partitions whose rows are others in the newest version; that version was not read."""
    written = lake.written(then.table)
    now = {key: Content(hash=each.hash, rows=each.rows) for key, each in written.items() if key in then.partitions}
    return _differences(then, now)


def _differences(then: TableContent, now: dict[str, Content]) -> list[Difference]:
    return [
        Difference(kind="table", name=f"{then.table}[{key}]", then=told(content), now=told(now.get(key)))
        for key, content in then.partitions.items()
        if now.get(key) != content
    ]


def told(content: Content | None) -> str | None:
    """Say what a partition holds."""
    return content and f"{content.hash[:SHOWN]}, {content.rows} rows"


def _contents(lake: Lake, then: TableContent, keys: list[str]) -> dict[str, Content]:
    rows = lake.read(then.table, keys, version=then.version)
    hashes, counts = content_hashes(rows, keys), rows_by_partition(rows, keys)
    return {key: Content(hash=hashes[key], rows=counts[key]) for key in keys}


def _gone(lake: Lake, then: TableContent) -> NotReproducible:
    lost = [key for key in then.partitions if not _is_there(lake, then, key)]
    changed = _named(written_since(lake, then), lost)
    return NotReproducible.because(
        f"{then.table} version {then.version}",
        got=f"no files of partitions {examples(lost)}"
        + (f"; other rows by now in {examples(changed)}" * bool(changed)),
        expected="the files it was read from",
        hint="they were vacuumed or removed: restore them from a backup, or train a new version",
    )


def _named(differences: Iterable[Difference], keys: list[str]) -> list[str]:
    found = [each.name.partition("[")[2].rstrip("]") for each in differences]
    return [key for key in found if key in keys]


def _is_there(lake: Lake, then: TableContent, key: str) -> bool:
    try:
        _contents(lake, then, [key])
    except (OSError, DeltaError):
        return False
    return True
