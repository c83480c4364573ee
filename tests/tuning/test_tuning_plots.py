"""Charts show what they say: both curves, the band, the target and the recommendation; never an empty frame."""

from __future__ import annotations

import builtins
import io
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.wilson import Rate
from semcache_integrations.testing import HashingEmbedder
from semcache_integrations.tuning import Request, Stream, load_stream, tune
from semcache_integrations.tuning.plots import _PLAIN, _VETOED, plot_policies

STAR = "#e2a100"


@pytest.fixture(scope="module")
def tuning():
    return tune(load_stream("slot", limit=1_200), target=0.1, embedder=HashingEmbedder())


def shares(chart, *colors: str) -> list[float]:
    """Return the share of the picture that each colour covers."""
    pixels = matplotlib.image.imread(io.BytesIO(chart._repr_png_()))[..., :3]
    return [float((np.abs(pixels - np.array(to_rgb(color))).max(axis=2) < 0.03).mean()) for color in colors]


def test_both_curves_and_the_recommendation_are_drawn(tuning):
    assert min(shares(tuning.plot(), _PLAIN, _VETOED, STAR)) > 0.0001
    axes = tuning.plot().axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [
        "without vetoes",
        "with vetoes",
        "target 10 %",
        f"recommended: {tuning.threshold:.2f} with vetoes",
    ]
    star = next(line for line in axes.lines if line.get_marker() == "*")
    point = tuning.recommendation.point
    assert star.get_xdata()[0] == pytest.approx(100 * point.hit_rate.value)
    assert star.get_ydata()[0] == pytest.approx(100 * point.wrong_per_hit.value)


def test_the_band_holds_the_curve(tuning):
    axes = tuning.plot().axes[0]
    for line, band in zip((axes.lines[0], _line(axes, "with vetoes")), axes.collections, strict=True):
        low, high = band.get_paths()[0].vertices[:, 1].min(), band.get_paths()[0].vertices[:, 1].max()
        assert low <= min(line.get_ydata())
        assert max(line.get_ydata()) <= high


def _line(axes, name: str):
    return next(line for line in axes.lines if line.get_label() == name)


def test_nothing_is_starred_that_is_not_certified():
    chart = tune(load_stream("slot", limit=60), embedder=HashingEmbedder()).plot()
    assert shares(chart, STAR) == [0.0]


def test_without_labels_hit_rates_are_drawn():
    rows = tuple(Request(row.text) for row in load_stream("slot", limit=60).rows)
    chart = tune(Stream("log", rows, "none"), embedder=HashingEmbedder()).plot()
    assert chart.axes[0].get_xlabel() == "similarity_threshold"
    assert min(shares(chart, _PLAIN, _VETOED)) > 0.0001


@pytest.mark.filterwarnings("error")
def test_a_single_request_is_drawn_without_a_warning():
    assert tune(load_stream("slot", limit=1), embedder=HashingEmbedder()).plot()._repr_png_()


def test_policies_are_drawn_with_their_names_and_one_without_hits_is_left_out():
    rows = [("mine", Rate(50, 100), Rate(1, 50), True), ("theirs", Rate(60, 100), Rate(20, 60), False)]
    chart = plot_policies("title", [*rows, ("never hits", Rate(0, 100), Rate(0, 0), False)], 0.02)
    names = [text.get_text() for text in chart.axes[0].texts]
    assert names == ["mine", "theirs"]
    assert min(shares(chart, _PLAIN, _VETOED)) > 0.0001


def test_without_matplotlib_the_error_names_the_extra(tuning, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name=name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "semcache_integrations.tuning.plots")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"semcache-integrations\[notebook\]"):
        tuning.plot()


def test_tuning_without_a_chart_does_not_load_matplotlib():
    program = (
        "import sys; from semcache_integrations.testing import HashingEmbedder\n"
        "from semcache_integrations.tuning import load_stream, tune\n"
        "tune(load_stream('slot', limit=5), embedder=HashingEmbedder()).snippet()\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
