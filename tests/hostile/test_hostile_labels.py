"""Labels that matplotlib would read as mathematics."""

import io

import pytest

from probing_bridge.figures.style import new_figure, style


@pytest.mark.parametrize("label", [r"$\frac$", "$$", "a$b_$", r"$\undefined{x}$"])
def test_a_dollar_in_a_label_is_a_dollar(label):
    with style():
        figure = new_figure(2, 1)
        axes = figure.subplots()
        axes.set_title(label)
        axes.set_xticks([0], [label])
        page = io.StringIO()
        figure.savefig(page, format="svg")
    assert label.replace("&", "&amp;") in page.getvalue()
