"""How a fault of a spec is told."""

from pathlib import Path

import pytest
import yaml

from ml_platform.contracts.errors import SpecError
from ml_platform.orchestration.resolution import resolve
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER

pytestmark = DAGSTER


def test_a_secret_written_into_a_spec_is_not_told_again(tmp_path: Path) -> None:
    """The line says where it stands; whoever reads a log need not read the secret too."""
    path = tmp_path / "defs.yaml"
    source = "source: {kind: sql, url_env: 'postgresql://me:hunter2@host/db', query: ':start :end'}"
    path.write_text(
        (FOLDER / "defs.yaml").read_text().replace("source: {kind: python, load: .source.load_rides}", source)
    )
    with pytest.raises(
        SpecError, match=r"source\.url_env: got postgresql://\*\*\*@host/db, expected the name"
    ) as caught:
        resolve(yaml.safe_load(path.read_text())["attributes"], path, "ml_platform_tests.pipelines.tiny")
    assert "hunter2" not in str(caught.value)
