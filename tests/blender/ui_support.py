# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for layouts that checks every name it is given: a background Blender draws nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy

ICONS = set(bpy.types.UILayout.bl_rna.functions["prop"].parameters["icon"].enum_items.keys())


class FakeLayout:
    """Records what is drawn; a property, operator, menu, list or icon that does not exist is an error."""

    def __init__(self, record: list[tuple[str, str]] | None = None) -> None:
        self.__dict__["record"] = [] if record is None else record

    def __setattr__(self, name: str, value: Any) -> None:
        known = bpy.types.UILayout.bl_rna.properties
        assert name in known, f"layouts have no {name!r}"

    def _sub(self, **options: Any) -> FakeLayout:
        assert set(options) <= {"align", "heading"}
        return FakeLayout(self.record)

    row = column = box = _sub

    def split(self, **options: Any) -> FakeLayout:
        assert set(options) <= {"align", "factor"}
        return FakeLayout(self.record)

    def panel(self, idname: str, default_closed: bool = False) -> tuple[FakeLayout, FakeLayout]:
        return FakeLayout(self.record), FakeLayout(self.record)

    def separator(self, **_options: Any) -> None:
        pass

    def progress(self, factor: float, text: str = "", type: str = "BAR") -> None:
        assert 0.0 <= factor <= 1.0
        self.record.append(("progress", text))

    def template_icon(self, icon_value: int, scale: float = 1.0) -> None:
        assert icon_value > 0
        self.record.append(("icon", str(icon_value)))

    def label(self, text: str = "", icon: str = "NONE") -> None:
        assert icon in ICONS, icon
        self.record.append(("label", text))

    def prop(self, data: Any, name: str, icon: str = "NONE", **options: Any) -> None:
        assert name in data.bl_rna.properties, f"{data.bl_rna.identifier} has no property {name!r}"
        assert icon in ICONS, icon
        assert set(options) <= {"text", "slider", "expand", "toggle", "icon_only", "emboss"}
        self.record.append(("prop", name))

    def prop_enum(self, data: Any, name: str, value: str) -> None:
        assert value in data.bl_rna.properties[name].enum_items, value
        self.record.append(("enum", value))

    def _operator(self, idname: str) -> Any:
        module, _, name = str(idname).partition(".")
        return getattr(getattr(bpy.ops, module), name).get_rna_type()

    def operator(self, idname: str, icon: str = "NONE", **options: Any) -> Any:
        rna = self._operator(idname)
        assert icon in ICONS, icon
        assert set(options) <= {"text", "emboss", "depress"}
        self.record.append(("operator", str(idname)))
        return _Properties(rna)

    def operator_enum(self, idname: str, name: str) -> None:
        assert name in self._operator(idname).properties
        self.record.append(("operator", str(idname)))

    def operator_menu_enum(self, idname: str, name: str, text: str = "", icon: str = "NONE") -> None:
        assert icon in ICONS, icon
        self.operator_enum(idname, name)

    def menu(self, idname: str, text: str = "", icon: str = "NONE") -> None:
        assert hasattr(bpy.types, idname), idname
        self.record.append(("menu", idname))

    def template_list(
        self, kind: str, _id: str, data: Any, prop: str, owner: Any, index: str, **_o: Any
    ) -> None:
        assert hasattr(bpy.types, kind), kind
        assert prop in data.bl_rna.properties
        assert index in owner.bl_rna.properties
        self.record.append(("list", kind))

    def drawn(self, kind: str) -> list[str]:
        """Names of everything of a kind."""
        return [name for what, name in self.record if what == kind]


class _Properties:
    """What `operator()` gives back: takes the operator's own properties only."""

    def __init__(self, rna: Any) -> None:
        self.__dict__["rna"] = rna

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in self.rna.properties, f"{self.rna.identifier} has no property {name!r}"


def draw(panel: type, method: str = "draw") -> FakeLayout:
    """Call a panel's or menu's drawing as Blender would."""
    layout = FakeLayout()
    functions = {
        name: value for cls in reversed(panel.__mro__) for name, value in vars(cls).items() if callable(value)
    }
    instance = SimpleNamespace(layout=layout)
    for name, function in functions.items():
        if name.startswith("_draw"):
            setattr(instance, name, function.__get__(instance))
    getattr(panel, method)(instance, bpy.context)
    return layout
