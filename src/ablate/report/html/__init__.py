"""report.html: one file that opens offline, for whoever has to decide."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

import ablate
from ablate.config.text import printable
from ablate.report.figures.scale import name_of
from ablate.report.figures.style import short
from ablate.report.html.charts.base import Chart
from ablate.report.html.page import section_of
from ablate.report.html.policy import as_json, policy, start_vega, vega
from ablate.report.html.provenance import origins, shared_settings
from ablate.report.numbers import interval, number, p_value, seeds, with_sd
from ablate.report.verdict import Report
from ablate.results.files import write_text

_NAME = "report.html"
# Longer texts are cut: a name of ten thousand characters would hide all others.
_MOST_CHARACTERS = 300


def write_page(report: Report, folder: Path) -> Path:
    """Write the page.

    Args:
        report: What was compared.
        folder: Where to; it exists.

    Returns:
        The file.
    """
    start_vega()
    environment = _environment()
    loader = environment.loader
    assert loader is not None
    style, script = (loader.get_source(environment, name)[0] for name in ("style.css", "page.js"))
    sections = [section_of(ablation, report) for ablation in report.ablations]
    bundle = vega()
    charts: list[Chart] = []
    text = environment.get_template("page.html").render(
        report=report,
        sections=sections,
        origins=origins(report.loaded),
        shared=shared_settings(report.loaded),
        version=ablate.__version__,
        policy=policy([bundle, script], [style]),
        style=Markup(style),
        script=Markup(script),
        bundle=Markup(bundle),
        place=lambda chart: _place(charts, chart),
        specs=lambda: as_json([chart.spec for chart in charts]),
    )
    file = folder / _NAME
    write_text(file, text)
    return file


def _place(charts: list[Chart], chart: Chart) -> int:
    """Number a picture; what the template has placed is written out at the end of the page."""
    charts.append(chart)
    return len(charts) - 1


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ablate.report.html"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cell": name_of,
        "number": number,
        "with_sd": with_sd,
        "interval": interval,
        "seeds": seeds,
        "p_value": p_value,
        "fraction": lambda value: "" if value is None else f"{value:.3f}",
        "signed": lambda value: "" if value is None else f"{value:+.2f}",
        "brief": lambda value: short(value, _MOST_CHARACTERS),
    }
    return environment


def _visible(value: object) -> object:
    """Show what a text hides: control characters, and those that turn a line around."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
