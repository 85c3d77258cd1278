"""What happens to a deployed model: how it is watched, when it is trained again, how it is served."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from ml_platform.contracts.spec.parts import Days, SomeDays, SpecPart

COOL_DOWN = timedelta(days=7)


class Monitoring(SpecPart):
    """How the deployed model's inputs are watched: window, and the index beyond which a column has drifted.

    Profiles are of whole partitions, so `window` is rounded up to those that it touches.
    """

    window: SomeDays = timedelta(days=7)
    psi_at_most: Annotated[float, Field(gt=0)] = 0.2
    drifted_columns_at_least: Annotated[int, Field(ge=1)] = 1
    rows_at_least: Annotated[int, Field(ge=1)] = 100


class Retrain(SpecPart):
    """When drift asks for a new model: never within `cool_down` of another request's as-of.

    Left out it is 7 days; with `refit: all` as long as the holdout where that is longer.
    """

    when: list[Literal["drift"]] = ["drift"]
    cool_down: Days | None = None


class Serving(SpecPart):
    """Limits of the endpoint: rows of one request, and how far back of the newest row the server knows the past.

    Windows look at `history`, however short, for as long as they reach. More of it lets the server answer for rows of
    the past too, as the endpoint's check and a replay do.
    """

    history: Days = timedelta(days=180)
    batch_at_most: Annotated[int, Field(ge=1, le=100_000)] = 1000
