"""The form for a project's settings: what it shows of the extra params, and which change of them somebody has typed into it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ml_backend.described_settings import BLITZ, DescribedSetting, described_settings, value_in
from ml_backend.detector_names import AUTO, BUILT_IN, NONE, TORCHVISION, TRAIN
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.setting_conflicts import ModelFiles, setting_conflicts
from ml_backend.project_settings import parse_project_settings, wrong_value
from ml_backend.projects.storage import read_object
from ml_backend.roi import RegionOfInterest, RoiError

# Nobody types more.
_LONGEST = 2000
_REMOVE = "remove."


@dataclass(frozen=True)
class Field:
    """A setting with what the form shows for it. `text`: its value as it is typed, empty where nothing is set. `fault`: what is
    wrong with it. `offers`: what may be meant, beside whatever else can be typed. `now`: what is set, as it would be typed.
    `usable`: whether a control for this kind can show `text`; else it is shown as it is, so that it is not lost."""

    setting: DescribedSetting
    text: str
    now: str
    fault: str | None = None
    offers: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.setting.name.replace(".", "-")

    @property
    def usable(self) -> bool:
        kind = self.setting.kind
        if not self.text:
            return True
        if kind == "choice":
            return self.text in map(str, self.setting.choices)
        if kind == "yes or no":
            return self.text in ("true", "false")
        return kind not in ("number", "whole number") or isinstance(_read(self.setting, self.text), int | float)


@dataclass(frozen=True)
class OtherKey:
    """A key of the extra params that is no setting. `name`: `blitz.x` for one within."""

    name: str
    text: str
    fault: str
    removed: bool


@dataclass(frozen=True)
class Change:
    """`after`: the extra params as they would be. `names`: what changes of them. `typed`: what was typed for these. `faults`:
    sentences by the name of the setting that they are about; with any, nothing is to be saved."""

    after: dict[str, Any]
    names: tuple[str, ...]
    typed: Mapping[str, str]
    faults: Mapping[str, str]


def shown(value: object) -> str:
    """A value of the extra params as it is typed; empty for none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(each, int | float) for each in value):
        return ", ".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) and value == value else json.dumps(value, ensure_ascii=False)


def opened_as(params: Mapping[str, Any]) -> str:
    """What the fields hold when the form is opened, for `touched`."""
    texts = {each.name: shown(value_in(params, each.name)) for each in described_settings()}
    return json.dumps({name: text for name, text in texts.items() if text})


def touched(form: Mapping[str, str]) -> dict[str, str]:
    """What somebody has typed into a form that was opened with `opened_as`, which a browser sends with all other fields; all that
    is sent where that is missing. Fields that were left alone are no wish to have back what they held then."""
    opened = read_object(form.get("opened"))
    if "opened" not in form:
        return dict(form)
    alone = {
        each.name
        for each in described_settings()
        if form.get(each.name, "").strip() == str(opened.get(each.name, "")).strip()
    }
    return {name: text for name, text in form.items() if name not in alone and name != "opened"}


def fields_of(
    params: Mapping[str, Any], typed: Mapping[str, str], faults: Mapping[str, str], offers: Mapping[str, Iterable[str]]
) -> list[Field]:
    """Each setting: what was `typed`, else what the extra params say of it, with what is wrong with that."""
    found = []
    for setting in described_settings():
        name, value = setting.name, value_in(params, setting.name)
        fault = faults.get(name)
        if fault is None and name not in typed and _is_in(params, name):
            wrong = wrong_value(name, value)
            fault = f"It is ignored: {wrong}." if wrong else None
        found.append(Field(setting, typed.get(name, shown(value)), shown(value), fault, tuple(offers.get(name, ()))))
    return found


def others_of(params: Mapping[str, Any], typed: Mapping[str, str]) -> list[OtherKey]:
    """The keys that are no settings, which stay as they are unless they are ticked to be removed."""
    known = {each.name for each in described_settings()} | {BLITZ[:-1]}
    blitz = params.get(BLITZ[:-1])
    every = dict(params)
    if isinstance(blitz, Mapping):
        every |= {f"{BLITZ}{name}": value for name, value in blitz.items()}
    elif blitz is not None:
        known.discard(BLITZ[:-1])
    found = []
    for name, value in every.items():
        if name not in known:
            nested = {BLITZ[:-1]: {name.removeprefix(BLITZ): value}} if name.startswith(BLITZ) else {name: value}
            told = " ".join(parse_project_settings(nested)[1])
            found.append(OtherKey(name, json.dumps(value, ensure_ascii=False), told, f"{_REMOVE}{name}" in typed))
    return found


def offers_of(config: LabelConfig | None, files: Iterable[str]) -> dict[str, list[str]]:
    """What may be meant for settings that take any text."""
    labels = config.main.labels if config is not None and config.questions else ()
    networks = [f"torchvision/{name}" for name in TORCHVISION]
    return {
        "detector": [*BUILT_IN, TRAIN, NONE, *networks],
        "follower": [AUTO],
        "custom_model": list(files),
        "default_label": list(labels),
    }


def change_of(
    params: Mapping[str, Any], form: Mapping[str, str], config: LabelConfig | None, files: ModelFiles
) -> Change:
    """What a filled-in form changes. What was not touched stays as it was written, be it wrong; so do keys that are no settings."""
    after, typed, faults = dict(params), dict[str, str](), dict[str, str]()
    if isinstance(params.get(BLITZ[:-1]), Mapping):
        after[BLITZ[:-1]] = dict(params[BLITZ[:-1]])
    for other in others_of(params, form):
        if other.removed:
            typed[f"{_REMOVE}{other.name}"] = "on"
            _put(after, other.name, None)
    for setting in described_settings():
        name = setting.name
        text = form.get(name, "").strip()[:_LONGEST]
        if name not in form or text == shown(value_in(params, name)).strip():
            continue
        typed[name] = text
        value = _read(setting, text) if text else None
        if text and (wrong := wrong_value(name, value)) is not None:
            faults[name] = _fault(setting, value, wrong)
        elif name.startswith(BLITZ) and not isinstance(after.get(BLITZ[:-1], {}), dict):
            faults[name] = "The key blitz is no object, so nothing can be set in it. Tick it to be removed, below."
        else:
            _put(after, name, value)
    if not faults:
        faults |= _contradictions(params, after, typed, config, files)
    names = tuple(name.removeprefix(_REMOVE) for name in typed)
    return Change(after, names, typed, faults)


def _fault(setting: DescribedSetting, value: object, wrong: str) -> str:
    if setting.kind in ("number", "whole number") and isinstance(value, str):
        kind = f"Write a {setting.kind}"
        return f"{kind}." if setting.least is None else f"{kind} between {setting.least:g} and {setting.most:g}."
    if setting.kind == "frames per label" and isinstance(value, str):
        return 'Write a whole number, or one for each label, such as {"jump": 5}.'
    return f"It cannot be saved: {wrong}."


def _contradictions(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    typed: Mapping[str, str],
    config: LabelConfig | None,
    files: ModelFiles,
) -> dict[str, str]:
    """What the change makes contradictory, by the setting that was changed for it."""
    found: dict[str, str] = {}
    known = set(parse_project_settings(before)[1])
    for sentence in parse_project_settings(after)[1]:
        about = [name for name in typed if f"'{name}'" in sentence]
        if sentence not in known and about:
            found.setdefault(about[0], sentence)
    if config is not None:
        known = {each.sentence for each in setting_conflicts(before, config, files)}
        for conflict in setting_conflicts(after, config, files):
            changed = next((name for name in conflict.names if name in typed), None)
            if conflict.sentence not in known and changed is not None:
                found.setdefault(changed, conflict.sentence)
    return found


def _read(setting: DescribedSetting, text: str) -> object:
    """What is meant by a text; one that is nothing of its kind stays text, which is refused."""
    kind = setting.kind
    if kind == "choice":
        return next((choice for choice in setting.choices if str(choice) == text), text)
    if kind == "yes or no":
        return {"true": True, "false": False}.get(text, text)
    try:
        if kind == "number":
            number = float(text)
            return int(number) if number.is_integer() and abs(number) < 1e15 else number
        if kind == "whole number" or (kind == "frames per label" and not text.startswith("{")):
            return int(text)
        if kind == "frames per label":
            return json.loads(text)
        if kind == "region":
            return [round(each, 4) for each in RegionOfInterest.parse(text)]
    except (ValueError, RoiError, RecursionError, OverflowError):
        return text
    return text


def _is_in(params: Mapping[str, Any], name: str) -> bool:
    blitz = params.get(BLITZ[:-1])
    if name.startswith(BLITZ):
        return isinstance(blitz, Mapping) and name.removeprefix(BLITZ) in blitz
    return name in params


def _put(params: dict[str, Any], name: str, value: object) -> None:
    """Sets a key, or takes it away for None."""
    within, key = params, name
    if name.startswith(BLITZ):
        key = name.removeprefix(BLITZ)
        found = params.get(BLITZ[:-1])
        if not isinstance(found, dict):
            if value is None:
                return
            found = params[BLITZ[:-1]] = {}
        within = found
    if value is None:
        within.pop(key, None)
        if within is not params and not within:
            params.pop(BLITZ[:-1])
    else:
        within[key] = value
