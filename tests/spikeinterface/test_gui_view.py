"""The view for SpikeInterface-GUI: it is found by its entry point, and shows the loadings of the visible units.

Where that program is not installed, a base class with what it asks of a view stands in its place.
"""

from __future__ import annotations

import importlib
import sys
import tomllib
import types
from typing import Any

import numpy as np
import pytest

pytest.importorskip("panel", reason="could not import panel")

from nwb_dcf.spikeinterface import tabulate_units

from .sessions import make_analyzer

ROOT_GROUP = "spikeinterface_gui.views"


class StandIn:
    """What the program's base class does for a view in the web mode."""

    def __init__(self, controller: Any, backend: str) -> None:
        self.controller, self.backend = controller, backend
        self._panel_make_layout()  # type: ignore[attr-defined]

    def get_unit_color(self, unit: object) -> str:
        return "#112233"


class Controller:
    def __init__(self, analyzer: Any, visible: list[object]) -> None:
        self.analyzer, self.visible = analyzer, visible

    def get_visible_unit_ids(self) -> list[object]:
        return self.visible


@pytest.fixture
def view_class(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> Any:
    base = types.ModuleType("spikeinterface_gui.view_base")
    base.ViewBase = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spikeinterface_gui", types.ModuleType("spikeinterface_gui"))
    monkeypatch.setitem(sys.modules, "spikeinterface_gui.view_base", base)
    project = tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())["project"]
    module, _, name = project["entry-points"][ROOT_GROUP]["dcf_latents"].partition(":")
    monkeypatch.delitem(sys.modules, module, raising=False)
    return getattr(importlib.import_module(module), name)


def test_it_shows_the_loadings_of_the_visible_units(computed: Any, view_class: Any) -> None:
    units = list(computed.unit_ids[:2])
    controller = Controller(computed, units)
    view = view_class(controller=controller, backend="panel")
    table = tabulate_units(computed)
    shown = view._loadings.data
    n_latents = sum(name.startswith("dcf_loading_") for name in table.columns)
    expected = [table.loc[unit, f"dcf_loading_{k + 1}"] for k in range(n_latents) for unit in units]
    np.testing.assert_allclose(shown["top"], expected)
    assert len(set(shown["x"])) == len(shown["x"])
    controller.visible = list(computed.unit_ids)
    view._panel_refresh()
    assert len(view._loadings.data["top"]) == n_latents * len(computed.unit_ids)


def test_an_analyzer_without_latents_says_how_to_compute_them(sorting: Any, recording: Any, view_class: Any) -> None:
    bare = make_analyzer(sorting, recording)
    view = view_class(controller=Controller(bare, list(bare.unit_ids)), backend="panel")
    assert "dcf_latents" in view.layout.object
    view._panel_refresh()
