"""Whatever others do to the registry: no weak candidate is promoted, an honest one is, and what serves is the ledger's.

Generated: sequences of deletions, edits, renumberings, moved aliases and foreign versions, in memory and on a real
MLflow; after each step the pipeline goes on by itself.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from ml_platform.contracts.errors import IdentityConflict, PromotionRefused, VersionNotFound
from ml_platform.contracts.evaluations import Demand, Evaluation, Verdict
from ml_platform.contracts.home import Home
from ml_platform.contracts.records import ModelVersion, Outcome
from ml_platform.contracts.spec.models import Approval
from ml_platform.deployment.controller import promote
from ml_platform.deployment.local import LocalTarget
from ml_platform.ledger.folds import Champion, champion, next_seq, promotions
from ml_platform.ledger.identity import known_versions
from ml_platform.ledger.store import SqlLedger
from ml_platform.orchestration.candidates import asked_version, candidate_of, register_candidate
from ml_platform.orchestration.judging import record_evaluation
from ml_platform.orchestration.registry_faults import registry_faults, repair_aliases
from ml_platform.orchestration.rival import open_rival
from ml_platform.registry.bundle import Bundle, sha256, write_bundle
from ml_platform.serving.models import ModelTable
from ml_platform_tests.fakes.bundles import PIPELINE, make_files
from ml_platform_tests.orchestration.registries import InMemory, Registry, real_mlflow
from ml_platform_tests.pipelines.marks import QUIET
from ml_platform_tests.registry.example_bundle import example_of

pytestmark = QUIET

DEMAND = Demand(bound=0.0, basis="b")
QUALITY = "quality.json"
START = date(2020, 1, 1)
BAD = "f" * 64


class Named:
    """What `open_rival` reads of a pipeline."""

    name = PIPELINE


@dataclass
class Platform:
    """The real candidates, comparison, promotion and server, over bundles whose quality is written in a file."""

    home: Home
    registry: Registry
    example: bytes
    days: int = 0
    qualities: dict[str, int] = field(default_factory=dict[str, int])
    actor: str = "test"

    def __post_init__(self) -> None:
        self.ledger = SqlLedger(self.home.ledger_url)
        self.target = LocalTarget(self.home, "http://127.0.0.1:9")
        self.table = ModelTable(self.home, self.ledger)

    def new_day(self) -> str:
        """Return an as-of that is newer than every one before."""
        self.days += 1
        return (START + timedelta(days=self.days)).isoformat()

    def bundle(self, as_of: str, quality: int) -> Bundle:
        """Make a bundle; the same day and quality give the same digest."""
        content = json.dumps([quality, as_of]).encode()
        self.qualities[sha256(content)] = quality
        files = make_files(0) | {"example.json": self.example, QUALITY: content}
        fields: dict[str, Any] = {"spec_digest": "0" * 64, "rows_digest": "0" * 64, "code_version": "test", "data": ()}
        made = self.home.root / "made" / f"{as_of}-{quality}"
        return write_bundle(made, files, pipeline=PIPELINE, as_of=as_of, kind="lightgbm", libraries={}, **fields)

    def retrain(self, as_of: str, quality: int) -> Champion:
        """Register, evaluate against the champion, promote; raises PromotionRefused."""
        bundle, store = self.bundle(as_of, quality), self.registry.store
        run_id = getattr(self.registry, "run_id", "r")
        register_candidate(PIPELINE, bundle, store, self.ledger, run_id=run_id, actor=self.actor)
        version = candidate_of(store, self.ledger.read(PIPELINE), PIPELINE, as_of)
        assert version.digest == bundle.digest
        record_evaluation(self._evaluation(version, quality), version, self.ledger, store, self.actor)
        return self.endpoint(as_of)

    def _evaluation(self, version: ModelVersion, quality: int) -> Evaluation:
        decisions = self.ledger.read(PIPELINE)
        before = next((each for each in promotions(decisions) if each.digest != version.digest), None)
        outcome: Outcome = "pass"
        if before is not None:
            rival = open_rival(cast("Any", Named()), before, self.registry.store)
            theirs = None if rival.predictor is None else self.qualities[rival.predictor.manifest.files[QUALITY]]
            outcome = "inconclusive" if theirs is None else "pass" if quality >= theirs else "fail"
        verdict = Verdict(
            gate="g", outcome=outcome, sentence="Seen.", value=1.0, bound=0.0, reference=None, rows=9, basis="b"
        )
        named = version.model_dump(exclude={"run_id"})
        return Evaluation(**named, champion=before.version if before else None, rows=9, metrics={}, verdicts=(verdict,))

    def endpoint(self, as_of: str | None = None, number: int | None = None) -> Champion:
        """Materialize the endpoint."""
        decisions, store = self.ledger.read(PIPELINE), self.registry.store
        repair_aliases(PIPELINE, decisions, store)
        version = asked_version(store, decisions, PIPELINE, number, as_of)
        promoted = promote(
            version, ledger=self.ledger, store=store, target=self.target, gates={"g": DEMAND}, approval=Approval(),
            is_named=number is not None, actor=self.actor,
        )  # fmt: skip
        assert isinstance(promoted, Champion)
        return promoted

    @property
    def champion(self) -> Champion:
        """The ledger's champion."""
        present = champion(self.ledger.read(PIPELINE))
        assert present is not None
        return present

    @property
    def quality(self) -> int:
        """The quality of what serves, as the server has opened it."""
        self.table.refresh()
        model = self.table.find(PIPELINE)
        assert (model.version, model.digest) == (self.champion.version, self.champion.digest)
        return self.qualities[model.predictor.manifest.files[QUALITY]]

    def require_one_digest_each(self) -> None:
        """Check that the ledger names each digest by one number, and the other way round."""
        named = {
            (each.version, each.payload["digest"]) for each in self.ledger.read(PIPELINE) if "digest" in each.payload
        }
        assert len({number for number, _ in named}) == len({digest for _, digest in named}) == len(named)


def _dice(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - chooses what is damaged


def delete_model(platform: Platform, dice: random.Random) -> None:
    """Lose the registry."""
    del dice
    platform.registry.delete_model()


def delete_version(platform: Platform, dice: random.Random) -> None:
    """Delete a version, often the champion's."""
    listed = platform.registry.store.listed(PIPELINE)
    if listed:
        platform.registry.delete_version(dice.choice(listed).version)


def renumber(platform: Platform, dice: random.Random) -> None:
    """Lose the registry, and put weak models of a later day under every number that was used."""
    count = max((each.version or 0 for each in platform.ledger.read(PIPELINE)), default=1)
    present = platform.champion
    platform.registry.delete_model()
    for _ in range(count):
        weak = platform.bundle("2031-01-01", 0)
        platform.registry.add_foreign(weak, "2031-01-01", dice.choice([weak.digest, present.digest]))


def edit_digest(platform: Platform, dice: random.Random) -> None:
    """Edit the tag by which a version's bundle was checked once."""
    listed = platform.registry.store.listed(PIPELINE)
    if listed:
        digest = dice.choice([BAD, *(each.digest for each in listed)])
        platform.registry.edit(dice.choice(listed).version, "digest", digest)


def edit_as_of(platform: Platform, dice: random.Random) -> None:
    """Tag a version as of a later or an earlier day."""
    listed = platform.registry.store.listed(PIPELINE)
    if listed:
        platform.registry.edit(dice.choice(listed).version, "as_of", dice.choice(["2032-01-01", "2001-01-01", "soon"]))


def move_alias(platform: Platform, dice: random.Random) -> None:
    """Point an alias somewhere by hand."""
    listed = platform.registry.store.listed(PIPELINE)
    if listed:
        platform.registry.move_alias(dice.choice(["champion", "challenger"]), dice.choice(listed).version)


def add_foreign(platform: Platform, dice: random.Random) -> None:
    """Put a weak model there by hand, as of a later day."""
    weak = platform.bundle("2030-01-01", 0)
    platform.registry.add_foreign(weak, "2030-01-01", dice.choice([weak.digest, BAD, ""]))


DAMAGES: list[Callable[[Platform, random.Random], None]] = [
    delete_model, delete_version, renumber, edit_digest, edit_as_of, move_alias, add_foreign,
]  # fmt: skip


def _goes_on(platform: Platform, dice: random.Random) -> None:
    """Check all that has to hold after a damage: what may not happen does not, what has to go on does."""
    present, quality = platform.champion, platform.quality
    newest = candidate_of(platform.registry.store, platform.ledger.read(PIPELINE), PIPELINE, None)
    assert newest.digest in {each.digest for each in known_versions(platform.ledger.read(PIPELINE))}
    if newest.digest == present.digest:
        assert platform.endpoint() == present
    else:  # a weak one of before, which is newer
        with pytest.raises(PromotionRefused, match=f"version {newest.version} of parcels: got Gate g says fail"):
            platform.endpoint()
    weak_day = platform.new_day()
    with pytest.raises(PromotionRefused, match="Gate g says fail"):
        platform.retrain(weak_day, quality - 1)
    assert (platform.champion, platform.quality) == (present, quality)
    assert platform.retrain(present.as_of, quality) == present, "the same retrain again changes nothing"
    if dice.random() < 0.5:
        better = platform.retrain(platform.new_day(), quality + 1)
        assert platform.quality == quality + 1
        assert better.version > present.version
        assert platform.endpoint(number=present.version).version == present.version  # a rollback by its number
        assert platform.quality == quality
        assert platform.endpoint(number=better.version).version == better.version
    platform.require_one_digest_each()
    listed, aliases = platform.registry.store.listed(PIPELINE), platform.registry.store.aliases(PIPELINE)
    repair_aliases(PIPELINE, platform.ledger.read(PIPELINE), platform.registry.store)
    assert not [fault for fault in _faults(platform) if "alias" in fault], (listed, aliases)


def _faults(platform: Platform) -> list[str]:
    return registry_faults(PIPELINE, platform.ledger.read(PIPELINE), platform.registry.store)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give example rows with predictions, which MLflow wants of a model."""
    return example_of(tmp_path_factory.mktemp("draft") / "draft")


@pytest.fixture
def platform(tmp_path: Path, example: bytes, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Give a platform in memory, with a champion of quality 5."""
    monkeypatch.setenv("ML_PLATFORM_HOME", str(tmp_path))
    platform = Platform(Home(tmp_path), InMemory(tmp_path / "registry"), example)
    platform.retrain(platform.new_day(), 5)
    return platform


@pytest.fixture
def on_mlflow(tmp_path: Path, example: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Give a platform on a real MLflow, with a champion of quality 5."""
    monkeypatch.setenv("ML_PLATFORM_HOME", str(tmp_path))
    with real_mlflow(tmp_path) as registry:
        platform = Platform(Home(tmp_path), registry, example)
        platform.retrain(platform.new_day(), 5)
        yield platform


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_the_pipeline_goes_on_after_a_damage(
    platform: Platform, damage: Callable[[Platform, random.Random], None], seed: int
) -> None:
    dice = _dice(seed)
    platform.retrain(platform.new_day(), 6)
    damage(platform, dice)
    _goes_on(platform, dice)


@pytest.mark.parametrize("seed", range(12))
def test_the_pipeline_goes_on_after_any_sequence_of_damages(platform: Platform, seed: int) -> None:
    dice = _dice(seed)
    for damage in dice.choices(DAMAGES, k=4):
        damage(platform, dice)
        if dice.random() < 0.6:
            _goes_on(platform, dice)
    _goes_on(platform, dice)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_the_pipeline_goes_on_after_a_damage_in_mlflow(
    on_mlflow: Platform, damage: Callable[[Platform, random.Random], None]
) -> None:
    dice = _dice(1)
    damage(on_mlflow, dice)
    _goes_on(on_mlflow, dice)


@pytest.mark.slow
def test_the_pipeline_goes_on_after_a_sequence_of_damages_in_mlflow(on_mlflow: Platform) -> None:
    dice = _dice(7)
    for damage in dice.sample(DAMAGES, k=len(DAMAGES)):
        damage(on_mlflow, dice)
    _goes_on(on_mlflow, dice)


def test_a_champion_whose_bundle_is_gone_everywhere_is_compared_with_nobody(platform: Platform) -> None:
    """Nothing passes for it, whatever stands under its number."""
    present = platform.champion
    bundle = platform.home.bundles / PIPELINE / present.digest / QUALITY
    bundle.unlink()
    renumber(platform, _dice(0))
    with pytest.raises(PromotionRefused, match="Gate g says inconclusive"):
        platform.retrain(platform.new_day(), 9)
    assert platform.champion == present


def test_a_number_that_only_the_registry_knows_is_not_promoted(platform: Platform) -> None:
    """Not even by its number: nobody wrote down how it was made."""
    foreign = platform.registry.add_foreign(platform.bundle("2030-01-01", 9), "2030-01-01", BAD)
    with pytest.raises(VersionNotFound, match=f"got {foreign}, expected one that the ledger knows: 1"):
        platform.endpoint(number=foreign)
    with pytest.raises(VersionNotFound, match=f"version {foreign} of the registry is not in the ledger"):
        platform.endpoint("2030-01-01")
    assert any(f"version {foreign} (as of 2030-01-01) is not in the ledger" in fault for fault in _faults(platform))


def test_one_number_never_names_two_digests(platform: Platform) -> None:
    """Whoever calls the functions behind the assets: nothing is evaluated, promoted or written."""
    as_of, before = platform.champion.as_of, platform.ledger.read(PIPELINE)
    version = ModelVersion(pipeline=PIPELINE, version=platform.champion.version, digest=BAD, as_of=as_of, run_id="r")
    evaluation = platform._evaluation(version, 9)
    with pytest.raises(IdentityConflict, match=r"version 1 of parcels: got digest ffffffffffff, expected digest"):
        record_evaluation(evaluation, version, platform.ledger, platform.registry.store, "test")
    with pytest.raises(IdentityConflict, match="materialize candidate again"):
        promote(
            version, ledger=platform.ledger, store=platform.registry.store, target=platform.target, gates={},
            approval=Approval(), is_named=True, actor="test",
        )  # fmt: skip
    assert platform.ledger.read(PIPELINE) == before


def test_versions_of_before_registrations_were_written_are_known_by_their_evaluations(
    platform: Platform, tmp_path: Path
) -> None:
    """A home that is older than decisions of kind `registered` goes on as it is."""
    older = SqlLedger(f"sqlite:///{tmp_path / 'older.db'}")
    for each in platform.ledger.read(PIPELINE):
        if each.kind != "registered":
            said = each.model_dump(include={"actor", "because", "version", "payload"})
            older.append(PIPELINE, cast("Any", each.kind), expected_seq=next_seq(older.read(PIPELINE)), **said)
    assert (
        candidate_of(platform.registry.store, older.read(PIPELINE), PIPELINE, None).digest == platform.champion.digest
    )


def test_what_mlflow_shows_otherwise_is_explained_and_the_aliases_are_put_back(platform: Platform) -> None:
    """Looking changes nothing; the next command that writes does."""
    platform.retrain(platform.new_day(), 6)
    assert _faults(platform) == []
    platform.registry.move_alias("champion", 1)
    platform.registry.move_alias("challenger", 1)
    [first, second] = _faults(platform)
    assert "alias champion points at version 1; by the ledger version 2 is champion, and serves" in first
    assert "alias challenger points at version 1, which is not newer than the champion" in second
    assert _faults(platform) == [first, second]
    repair_aliases(PIPELINE, platform.ledger.read(PIPELINE), platform.registry.store)
    assert platform.registry.store.aliases(PIPELINE) == {"champion": 2}
    platform.registry.delete_version(2)
    [lost] = _faults(platform)
    assert "The champion, version 2 of digest" in lost
    assert "serves from its deployed bundle" in lost
    platform.registry.edit(1, "digest", BAD)
    assert any(
        "version 1 is tagged with digest ffffffffffff, the ledger knows it as" in each for each in _faults(platform)
    )
