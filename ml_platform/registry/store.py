"""Versions and aliases in MLflow's model registry; each version is a standard MLflow model that carries its bundle.

A version is known by its bundle's digest: registering the same content again gives the version that is there.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ml_platform.contracts.errors import BundleDamaged, RegistryError, VersionNotFound
from ml_platform.contracts.records import Certificate, Evaluation, ModelVersion, SignatureField
from ml_platform.registry.bundle import DECISION, EXAMPLE, MODEL, SIGNATURE, Bundle, copy_bundle, open_bundle
from ml_platform.registry.run_files import read_run_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

MLFLOW_TYPES = {"string": "string", "int64": "long", "float64": "double", "bool": "boolean", "timestamp": "datetime"}
BUNDLE = "bundle"
ENVIRONMENT = "environment.json"
DESCRIPTION_AT_MOST = 5000  # characters that MLflow's tables hold


@dataclass(frozen=True)
class MlflowStore:
    """Model versions in MLflow; implements `contracts.ports.ModelStore`.

    Parameters
    ----------
    url : str
        MLflow tracking and registry URI.
    cache : Path
        Where bundles are downloaded to, by digest.
    loader : Path
        The script that MLflow runs to load a version (models from code: nothing is pickled).
    """

    url: str
    cache: Path
    loader: Path

    def register(self, pipeline: str, bundle: Path, *, as_of: str, digest: str, run_id: str) -> ModelVersion:
        """Register a bundle under the MLflow run, or give the version that already holds this very digest."""
        known = [version for version in self._search(pipeline) if version.tags.get("digest") == digest]
        if known:
            return _record(max(known, key=lambda version: int(version.version)))
        model = self._log(open_bundle(bundle, digest), run_id)
        self._ensure_model(pipeline)
        created = self._client.create_model_version(
            pipeline, model.model_uri, run_id=run_id, tags={"as_of": as_of, "digest": digest}, model_id=model.model_id
        )
        return _record(created)

    def version(self, pipeline: str, version: int) -> ModelVersion:
        """Give one version.

        Raises
        ------
        VersionNotFound
            If there is none of that number.
        """
        found = {int(each.version): each for each in self._search(pipeline)}
        if version not in found:
            raise VersionNotFound.because(
                f"{pipeline} version",
                got=version,
                expected=f"one of {sorted(found) or 'none yet'}",
                hint="materialize candidate",
            )
        return _record(found[version])

    def versions(self, pipeline: str, as_of: str) -> list[ModelVersion]:
        """Give the versions of an as-of partition, the newest first."""
        found = [_record(each) for each in self._search(pipeline)]
        return sorted((each for each in found if each.as_of == as_of), key=lambda each: -each.version)

    def newest(self, pipeline: str, as_of: str | None = None) -> ModelVersion | None:
        """Give the newest version of an as-of partition; without one, that of the newest as-of."""
        found = [_record(each) for each in self._search(pipeline)]
        wanted = [each for each in found if as_of in (None, each.as_of)]
        return max(wanted, key=lambda each: (each.as_of, each.version), default=None)

    def registered(self) -> list[ModelVersion]:
        """Give every version of every pipeline.

        Raises
        ------
        RegistryError
            If MLflow cannot be read; a database that is not there counts as that, not as an empty one.
        """
        from mlflow.exceptions import MlflowException

        path = Path(self.url.removeprefix("sqlite:///"))
        try:
            if self.url.startswith("sqlite:") and not path.exists():
                raise MlflowException(f"no database at {path}")
            return [_record(each) for each in self._search() if each.tags.get("digest")]
        except MlflowException as error:
            raise RegistryError.because(
                "MLflow", got=str(error).splitlines()[0], expected="the registered versions",
                hint="check MLFLOW_TRACKING_URI and --home, and that the server runs",
            ) from None  # fmt: skip

    def bundle(self, version: ModelVersion) -> Path:
        """Give a local folder with the version's bundle: downloaded once, and again if damaged; verified each time.

        Raises
        ------
        BundleDamaged
            If what the registry holds is not what was registered.
        """
        import mlflow.artifacts

        place = self.cache / version.digest
        with suppress(BundleDamaged):  # or not there yet
            return open_bundle(place, version.digest).root
        self.cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.cache, prefix=".staged-") as staged:
            kept = self._client.get_model_version_download_uri(version.pipeline, str(version.version))
            source = f"{kept}/artifacts/{BUNDLE}"  # a models:/ address would be looked up in MLflow's default registry
            found = mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=staged, tracking_uri=self.url)
            copy_bundle(open_bundle(Path(found), version.digest), place)
        return place

    def note(self, version: ModelVersion, evaluation: Evaluation) -> None:
        """Show outcome and verdicts as tags and description of the version."""
        self._client.set_model_version_tag(version.pipeline, str(version.version), "gates", evaluation.outcome)
        lines = [f"- **{verdict.outcome}** {verdict.sentence}" for verdict in evaluation.verdicts]
        self._client.update_model_version(version.pipeline, str(version.version), "\n".join(lines))

    def environment(self, version: ModelVersion) -> Mapping[str, str]:
        """Give what the version's MLflow run noted of machine and libraries; empty if nothing."""
        return read_run_file(self._client, version.run_id, ENVIRONMENT) or {}

    def certify(self, version: ModelVersion, certificate: Certificate) -> None:
        """Keep the certificate in the version's MLflow run, and tag the version with what it says."""
        self._client.log_dict(version.run_id, certificate.model_dump(mode="json"), _certificate_file(version))
        said = "equal" if certificate.is_equal else "differs"
        self._client.set_model_version_tag(version.pipeline, str(version.version), "reproduced", said)

    def certificate(self, version: ModelVersion) -> Certificate | None:
        """Give the newest certificate of a version, if there is one."""
        found = read_run_file(self._client, version.run_id, _certificate_file(version))
        return None if found is None else Certificate.model_validate(found)

    def describe(self, version: ModelVersion, text: str) -> None:
        """Make a text in Markdown the version's description, whole lines of it."""
        kept = text if len(text) <= DESCRIPTION_AT_MOST else text[:DESCRIPTION_AT_MOST].rpartition("\n")[0]
        self._client.update_model_version(version.pipeline, str(version.version), kept)

    def amend(self, version: ModelVersion, old: str, new: str) -> None:
        """Replace a text in the description of a version; does nothing where either is gone."""
        for each in self._search(version.pipeline):
            text = each.description or ""
            if each.tags.get("digest") == version.digest and old in text:
                self._client.update_model_version(each.name, str(each.version), text.replace(old, new))

    def set_alias(self, version: ModelVersion, alias: str) -> None:
        """Point an alias at a version."""
        self._client.set_registered_model_alias(version.pipeline, alias, str(version.version))

    def drop_alias(self, version: ModelVersion, alias: str) -> None:
        """Take an alias off a version; does nothing if it points elsewhere."""
        if self.aliases(version.pipeline).get(alias) == version.version:
            self._client.delete_registered_model_alias(version.pipeline, alias)

    def aliases(self, pipeline: str) -> Mapping[str, int]:
        """Give alias -> version; empty when the pipeline has no versions."""
        models = self._client.search_registered_models(filter_string=f"name = '{pipeline}'")
        return {alias: int(version) for model in models for alias, version in model.aliases.items()}

    @property
    def _client(self) -> "MlflowClient":
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.url, registry_uri=self.url)

    def _search(self, pipeline: str | None = None) -> list["MlflowVersion"]:
        client, found, token = self._client, [], None
        wanted = None if pipeline is None else f"name = '{pipeline}'"
        while True:
            page = client.search_model_versions(wanted, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def _ensure_model(self, pipeline: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(pipeline)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _log(self, bundle: Bundle, run_id: str) -> Any:
        import mlflow

        mlflow.set_tracking_uri(self.url)
        active = mlflow.active_run()
        if active is None or active.info.run_id != run_id:
            raise VersionNotFound.because(
                "MLflow run",
                got=active and active.info.run_id,
                expected=run_id,
                hint="register inside the run that trained",
            )
        with TemporaryDirectory() as staged:
            placed = copy_bundle(bundle, Path(staged) / BUNDLE)  # MLflow keeps an artifact under its folder's own name
            return mlflow.pyfunc.log_model(
                name="model",
                python_model=os.fspath(self.loader),
                artifacts={BUNDLE: os.fspath(placed.root)},
                signature=_signature(bundle),
                input_example=_example(bundle),
                pip_requirements=[f"{name}=={version}" for name, version in bundle.manifest.libraries.items()],
            )


def _certificate_file(version: ModelVersion) -> str:
    return f"reproduction/{version.pipeline}_v{version.version}.json"  # one run may hold several versions and members


def _record(version: "MlflowVersion") -> ModelVersion:
    return ModelVersion(
        pipeline=version.name,
        version=int(version.version),
        digest=version.tags.get("digest", ""),
        as_of=version.tags.get("as_of", ""),
        run_id=version.run_id or "",
    )


def _signature(bundle: Bundle) -> Any:
    """Return MLflow's signature of a version.

    A field that may be null is of any type to MLflow: each of its own types refuses some of NaN, NA, None, or integers
    that have no gap this time. The loader checks the values, and names what does not fit.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    inputs = Schema(
        [
            ColSpec(AnyType() if field.nullable else MLFLOW_TYPES[field.type], field.name, required=not field.nullable)
            for field in _fields(bundle)
        ]
    )
    columns = output_columns(bundle.read_json(MODEL), decides=DECISION in bundle.manifest.files)
    outputs = [ColSpec(dtype, name) for name, dtype in columns.items()]
    return ModelSignature(inputs=inputs, outputs=Schema([*outputs]))


def output_columns(description: Mapping[str, Any], *, decides: bool = False) -> dict[str, str]:
    """Give the columns that a version answers with through MLflow, by the description of its model.

    `prediction`; beside it the `decision` where the bundle decides, and of several classes, whose likeliest it is, the
    probability of each.
    """
    classes = description.get("classes")
    if not classes:
        return {"prediction": "double"} | ({"decision": "boolean"} if decides else {})
    kind = "string" if isinstance(classes[0], str) else "long"
    return {"prediction": kind, **{f"probability_{label}": "double" for label in classes}}


def _fields(bundle: Bundle) -> list[SignatureField]:
    return [SignatureField.model_validate(field) for field in bundle.read_json(SIGNATURE)]


def _example(bundle: Bundle) -> Any:
    """Return the example rows as a pandas frame; a column that may be null keeps its values as they are."""
    import pandas as pd

    rows = json.loads(bundle.read_bytes(EXAMPLE))["rows"]
    columns: dict[str, Any] = {}
    for field in _fields(bundle):
        values = pd.Series([row[field.name] for row in rows], dtype=object)
        if not field.nullable and field.type == "timestamp":  # MLflow's datetime has no zone: UTC, written without it
            values = pd.to_datetime(values, utc=True).dt.tz_localize(None)
        columns[field.name] = values if field.nullable else values.infer_objects()
    return pd.DataFrame(columns)
