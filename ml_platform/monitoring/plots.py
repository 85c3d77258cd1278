"""Pictures and tables of a drift report, in the look of `ml_platform.validation.plots`."""

from ml_platform.contracts.records import DriftReport
from ml_platform.monitoring.drift import worst_first
from ml_platform.validation.plots import BARS_AT_MOST, COLORS, bars, canvas, table, to_png

_STABLE, _DRIFTED, _LIMIT = COLORS[0], COLORS[1], "#b91c1c"
# A column that turned null reads 5 and more; the axis stops here so that the limit of 0.2 stays visible beside it.
_LIMITS_SHOWN = 10


def drift_plot(report: DriftReport, psi_at_most: float) -> bytes:
    """Draw each column's population stability index, the 15 worst, with the limit.

    Parameters
    ----------
    report : DriftReport
        May have no columns: then its sentence is drawn.
    psi_at_most : float
        The limit of the pipeline's monitoring.

    Returns
    -------
    bytes
        PNG, about 640 x 400. Bars beyond ten times the limit are cut off; their number is at the axis' end.
    """
    columns = worst_first(report.columns)[:BARS_AT_MOST]
    figure, axes = canvas(f"Drift of {report.pipeline}, as of {report.as_of}", "population stability index (nats)")
    if not columns:
        axes.set_axis_off()
        axes.text(0.5, 0.5, report.sentence, ha="center", va="center", fontsize=9, wrap=True, transform=axes.transAxes)
        return to_png(figure)
    end = _LIMITS_SHOWN * psi_at_most
    shown = {column.name: column.psi for column in columns}
    colors = [_DRIFTED if column.is_drifted else _STABLE for column in columns]
    bars(axes, shown, colors, form="{:.3f}", at_most=end)
    axes.axvline(psi_at_most, color=_LIMIT, linewidth=1.2, linestyle="--", label=f"limit {psi_at_most:g}")
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return to_png(figure)


def drift_table(report: DriftReport) -> str:
    """Write a markdown table of the columns, the worst first."""
    rows = [
        [
            column.name,
            column.kind,
            f"{column.psi:.3f}",
            "-" if column.ks is None else f"{column.ks:.3f}",
            f"{column.reference_null_share:.1%}",
            f"{column.current_null_share:.1%}",
            "yes" if column.is_drifted else "no",
        ]
        for column in worst_first(report.columns)
    ]
    return table(["column", "kind", "psi", "ks", "null before", "null now", "drifted"], rows)
