"""The loaded versions: for each pipeline its champion and the one before, taken up from the ledger while serving.

A refresh reads the ledger, opens what is new and swaps the table as a whole. Whatever cannot be read is counted and
logged once, and the last good state stays, so the server outlives its ledger, its bundles and its online store.
"""

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import RequestRejected, SchemaMismatch, SpecError, examples
from ml_platform.contracts.home import Home
from ml_platform.contracts.ports import Ledger
from ml_platform.contracts.records import Decision
from ml_platform.features.encoding import Encoded
from ml_platform.features.lookups import PreparedLookups
from ml_platform.features.online import OnlineStore
from ml_platform.ledger.folds import Champion, promotions
from ml_platform.registry.bundle import open_bundle
from ml_platform.serving.bad_rows import row_faults
from ml_platform.serving.metrics import ServerMetrics
from ml_platform.serving.predictor import Predictor
from ml_platform.serving.requests import empty_frame

REFRESH_EVERY_S = 1.0
VERSIONS_AT_MOST = 2

_log = logging.getLogger(__name__)
_ANY_FAULT = (Exception, pl.exceptions.PanicException)  # a panic of Polars, as on damaged bytes, is no Exception


@dataclass(frozen=True)
class LoadedModel:
    """One version with the lookups it joins now; `published` holds the online tables those were prepared from."""

    version: int
    digest: str
    as_of: str
    predictor: Predictor
    lookups: PreparedLookups
    published: Mapping[str, pl.DataFrame]

    def score(self, rows: pl.DataFrame) -> tuple[NDArray[np.float64], Encoded]:
        """Score raw rows; returns the predictions, and the encoded rows with their counts of unseen and imputed.

        Raises
        ------
        RequestRejected
            422, naming the rows for which the author's feature function raises.
        """
        encoded = self.predictor.encoder.encode_counted(self._features(rows))
        return self.predictor.score(encoded.matrix), encoded

    def _features(self, rows: pl.DataFrame) -> pl.DataFrame:
        plan = self.predictor.plan
        try:
            return plan.transform(rows, self.lookups)
        except SpecError as error:
            rejected = row_faults(plan, rows, self.lookups)
            if rejected is None:
                raise
            raise rejected from error


class ModelTable:
    """The loaded versions of every pipeline, the default one first.

    Parameters
    ----------
    home : Home
        Where bundles and the online store lie.
    ledger : Ledger
        Says which versions were promoted.
    metrics : ServerMetrics, optional
        Where faults and versions are counted.
    """

    def __init__(self, home: Home, ledger: Ledger, metrics: ServerMetrics | None = None) -> None:
        self.metrics = metrics or ServerMetrics()
        self._home = home
        self._ledger = ledger
        self._online = OnlineStore(home.online)
        self._online_faults = 0
        self._decisions: dict[str, list[Decision]] = {}
        self._models: dict[str, tuple[LoadedModel, ...]] = {}
        self._reported: dict[str, str] = {}
        self._refreshing = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def pipelines(self) -> list[str]:
        """Name the pipelines with a loaded version."""
        return sorted(self._models)

    def versions(self, pipeline: str) -> tuple[LoadedModel, ...]:
        """Give the loaded versions, the default one first.

        Raises
        ------
        RequestRejected
            404, if there is none.
        """
        found = self._models.get(pipeline)
        if found is None:
            raise _not_found("pipeline", pipeline[:64], self.pipelines())
        return found

    def find(self, pipeline: str, version: int | None = None) -> LoadedModel:
        """Give one loaded version, or the default one; raises like `versions`."""
        loaded = self.versions(pipeline)
        if version is None:
            return loaded[0]
        for model in loaded:
            if model.version == version:
                return model
        raise _not_found("version", version, (model.version for model in loaded))

    def refresh(self) -> None:
        """Take up what the ledger and the online store say now. One thread at a time; requests go on meanwhile."""
        table = dict(self._models)
        for pipeline in self._read_pipelines():
            if loaded := [model for entry in self._read_champions(pipeline) if (model := self._load(pipeline, entry))]:
                table[pipeline] = tuple(loaded)
        self._models = {name: tuple(self._join_online(name, model) for model in table[name]) for name in table}
        self._count_online_faults()
        for name, (default, *_) in self._models.items():
            self.metrics.show_version(name, default.version)

    def start(self) -> None:
        """Refresh now, then every second in a thread of its own, whatever one refresh meets."""
        self.try_refresh()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="refresh", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.wait(REFRESH_EVERY_S):
            self.try_refresh()

    def try_refresh(self) -> None:
        """Refresh; what goes wrong is reported and counted, and the table stays as it was."""
        try:
            with self._refreshing:
                self.refresh()
        except _ANY_FAULT as error:  # the edge of the thread: without it no champion would ever be taken up again
            self._report("refresh", "refresh", error)
        else:
            self._reported.pop("refresh", None)

    def _read_pipelines(self) -> list[str]:
        try:
            pipelines = self._ledger.pipelines()
        except (
            Exception
        ) as error:  # whatever the ledger does, the server goes on with its last table; reported, counted
            self._report("ledger", "ledger", error)
            return []
        self._reported.pop("ledger", None)
        return pipelines

    def _read_champions(self, pipeline: str) -> list[Champion]:
        what = f"ledger of {pipeline}"
        try:
            self._decisions[pipeline] = self._read_decisions(pipeline)
            champions = promotions(self._decisions[pipeline])
        except Exception as error:  # as above, for one pipeline
            self._report("ledger", what, error)
            return []
        self._reported.pop(what, None)
        newest = {champion.version: champion for champion in reversed(champions)}
        order = list(dict.fromkeys(champion.version for champion in champions))
        return [newest[version] for version in order[:VERSIONS_AT_MOST]]

    def _read_decisions(self, pipeline: str) -> list[Decision]:
        """Read only what is new, as long as the last decision we know still stands in the ledger."""
        known = self._decisions.get(pipeline, [])
        if known:
            new = self._ledger.read(pipeline, after=known[-1].seq - 1)
            if new[:1] == known[-1:]:
                return known + new[1:]
        return self._ledger.read(pipeline)

    def _load(self, pipeline: str, champion: Champion) -> LoadedModel | None:
        for model in self._models.get(pipeline, ()):
            if (model.version, model.digest) == (champion.version, champion.digest):
                return model
        what = f"bundle of {pipeline} version {champion.version}"
        try:
            bundle = open_bundle(self._home.bundles / pipeline / champion.digest, champion.digest)
            predictor = Predictor.load(bundle)
            lookups = predictor.plan.prepare_lookups(predictor.lookups)
            model = LoadedModel(champion.version, champion.digest, champion.as_of, predictor, lookups, {})
            model.score(empty_frame(predictor.signature))  # what cannot run fails here, not in a request
        except _ANY_FAULT as error:
            self._report("bundle", what, error)
            return None
        self._reported.pop(what, None)
        return model

    def _join_online(self, pipeline: str, model: LoadedModel) -> LoadedModel:
        for name in model.predictor.plan.lookup_names:
            frame = self._online.read(pipeline, name)
            if frame is not None and frame is not model.published.get(name):
                model = self._take_up(pipeline, model, name, frame)
        return model

    def _take_up(self, pipeline: str, model: LoadedModel, name: str, frame: pl.DataFrame) -> LoadedModel:
        what = f"lookup {name} of {pipeline} for version {model.version}"
        published = {**model.published, name: frame}
        try:
            prepared = model.predictor.plan.prepare(name, frame)
            _check_same_columns(name, prepared.schema, model.lookups[name].schema)
        except _ANY_FAULT as error:
            self._report("lookup", what, error)
            return replace(model, published=published)
        self._reported.pop(what, None)
        return replace(model, published=published, lookups=PreparedLookups(model.lookups | {name: prepared}))

    def _count_online_faults(self) -> None:
        faults = self._online.faults.total()
        if faults > self._online_faults:
            self.metrics.count_fault("lookup", faults - self._online_faults)
            _log.error("online store: unreadable %s; the last good table stays", examples(self._online.faults))
        self._online_faults = faults

    def _report(self, kind: str, what: str, error: BaseException) -> None:
        """Count a fault each time, log it once until it changes."""
        self.metrics.count_fault(kind)
        text = f"{type(error).__name__}: {error}"
        if self._reported.get(what) != text:
            self._reported[what] = text
            _log.error("%s cannot be read; the last good state stays. %s", what, text)


def _check_same_columns(name: str, new: pl.Schema, old: pl.Schema) -> None:
    got, expected = dict(new), dict(old)
    if got != expected:
        hint = "publish the columns and types the model was trained with"
        raise SchemaMismatch.because(f"online lookup {name}", got=got, expected=expected, hint=hint)


def _not_found(what: str, got: object, loaded: Iterable[object]) -> RequestRejected:
    message = f"{what}: got {got!r}, expected one that is loaded: {examples(loaded) or 'none yet'}. "
    return RequestRejected(f"{message}Hint: GET /v2/models/<pipeline> lists versions", status=404, field=what)
