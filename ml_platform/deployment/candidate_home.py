"""A home of its own for a version that is not promoted, so that the real server serves it and the ledger knows nothing.

The server finds there what it finds anywhere: a ledger in which the version is champion, its bundle, and its lookups.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from ml_platform.contracts.home import Home
from ml_platform.features.online import OnlineStore
from ml_platform.ledger.store import SqlLedger
from ml_platform.registry.bundle import Bundle, copy_bundle


@contextmanager
def candidate_home(bundle: Bundle, version: int, lookups: Mapping[str, pl.DataFrame]) -> Iterator[Home]:
    """Make a home in which a bundle is champion, for the length of a `with` block.

    Parameters
    ----------
    bundle : Bundle
        The version's bundle; it is copied and verified on the way.
    lookups : mapping of str to pl.DataFrame
        What the online store knows; a lookup that is not among them is served from the bundle's snapshot.
    """
    pipeline = bundle.manifest.pipeline
    with TemporaryDirectory(prefix="ml_platform_candidate_") as folder:
        home = Home(Path(folder))
        copy_bundle(bundle, home.bundles / pipeline / bundle.digest)
        online = OnlineStore(home.online)
        for name, frame in lookups.items():
            online.publish(pipeline, name, frame)
        _promote(SqlLedger(home.ledger_url), bundle, version)
        yield home


def _promote(ledger: SqlLedger, bundle: Bundle, version: int) -> None:
    ledger.append(
        bundle.manifest.pipeline,
        "promoted",
        expected_seq=1,
        actor="the served gate",
        because="served on trial, in a home of its own",
        version=version,
        payload={"digest": bundle.digest, "as_of": bundle.manifest.as_of},
    )
