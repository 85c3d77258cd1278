"""Where things lie under one home folder. Paths and URLs only: nothing is read, made or looked up here."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folder of one installation (`$ML_PLATFORM_HOME`).

    Parameters
    ----------
    root : Path
        An absolute path.
    """

    root: Path

    @property
    def lake(self) -> Path:
        """Delta tables, one folder each."""
        return self.root / "lake"

    @property
    def bundles(self) -> Path:
        """Deployed bundles: `<pipeline>/<digest>/`."""
        return self.root / "bundles"

    @property
    def online(self) -> Path:
        """The online store of lookup tables: `<pipeline>/<lookup>.arrow`."""
        return self.root / "online"

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return f"sqlite:///{self.root / 'ledger.db'}"

    @property
    def studies_url(self) -> str:
        """SQLAlchemy URL of the studies of searches."""
        return f"sqlite:///{self.root / 'studies.db'}"

    @property
    def mlflow_url(self) -> str:
        """MLflow tracking and registry URL."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def mlflow_artifacts(self) -> Path:
        """Where MLflow keeps artifacts."""
        return self.root / "mlartifacts"

    @property
    def tensorboard(self) -> Path:
        """Event files for TensorBoard: `<pipeline>/<as-of>/<MLflow run>/`."""
        return self.root / "tensorboard"

    @property
    def dagster(self) -> Path:
        """The Dagster instance (`$DAGSTER_HOME`)."""
        return self.root / "dagster"

    @property
    def logs(self) -> Path:
        """Output of the processes that `ml-platform up` starts."""
        return self.root / "logs"
