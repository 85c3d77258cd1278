import time
from ml_platform_tests.pipelines.marks import on_tiny
from ml_platform_tests.pipelines.world import *

pytestmark = on_tiny("tiny")


def test_a(world):
    t = time.time()
    print(world.promoted(), time.time() - t)
    t = time.time()
    r = world.run("retrain", LATER)
    print(time.time() - t, r.success)
    print([(x.info.status, x.info.artifact_uri) for x in world.mlflow_runs()])
    print(sqlite3.connect(world.home.root / "mlflow.db").execute("select * from experiments").fetchall())
    t = time.time()
    job = world.definitions.resolve_job_def("tiny_retrain")
    sub = job.get_subset(
        asset_selection={dg.AssetKey(["tiny", "evaluation"]), dg.AssetKey(["tiny", "endpoint"])},
        asset_check_selection=set(),
    )
    print([n.name for n in sub.nodes])
    r = world.execute(sub, LATEST)
    print(time.time() - t, r.success, [(e.check_name) for e in r.get_asset_check_evaluations()])
    print(error_of(r)[:500])


def test_b(world):
    t = time.time()
    r = world.run("retrain", LATER)
    print(time.time() - t, r.success)
    r = world.run("retrain", LATER)
    print(time.time() - t, r.success, world.promoted(), [d.kind for d in world.decisions()])
    r = world.materialize("endpoint")
    print(time.time() - t, r.success, world.promoted(), error_of(r)[:300])
