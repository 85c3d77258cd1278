"""Made-up pipelines that the tests of orchestration run, and the world they run in."""
