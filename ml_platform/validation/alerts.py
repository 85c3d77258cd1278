"""What somebody has to look at, whatever the gates say: a champion that a constant would beat."""

import math
from collections.abc import Mapping

from ml_platform.validation.evaluation import ChampionScores
from ml_platform.validation.gates import ROWS_AT_LEAST
from ml_platform.validation.measure import FloatArray, Measure
from ml_platform.validation.scored import Scored


def champion_alert(
    labels: FloatArray,
    champion: ChampionScores | None,
    baselines: Mapping[str, FloatArray],
    measure: Measure,
    loss: str,
) -> str:
    """Say that the champion loses to a baseline, on the rows that it has not learnt from.

    Parameters
    ----------
    labels : (n_holdout,) array
        What happened.
    champion : ChampionScores or None
        What the champion predicts of the holdout.
    baselines : mapping of str to (n_holdout,) or (n_holdout, n_classes) array
        What each baseline predicts.
    loss : str
        The proper loss of the task.

    Returns
    -------
    str
        A sentence; empty if it beats every baseline, or on too few rows to say so.
    """
    if champion is None or champion.predictions is None or champion.is_unseen.sum() < ROWS_AT_LEAST:
        return ""
    scored = Scored(labels, champion.predictions, baselines, measure).where(champion.is_unseen)
    mine = scored.metrics["candidate"].get(loss, math.nan)
    better = {
        name: values[loss] for name, values in scored.metrics.items() if loss in values and values[loss] < mine
    }  # fmt: skip
    if not better:
        return ""
    said = ", ".join(f"{name} {value:.4f}" for name, value in better.items())
    rows = int(champion.is_unseen.sum())
    return (
        f"{champion.name} has a {loss} of {mine:.4f} on {rows:,} rows that it has not learnt from, worse than {said}."
    )
