"""Dataclasses that are kept as JSON objects, and that other releases may have written or may read.

What is read is written again as it was: keys that this release does not know, or whose value it cannot read, are kept beside the
fields, and a key that was not there is not made up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Self, TypeVar

_Read = TypeVar("_Read")
# JSON that passes through: whoever wrote it knows what is in it.
Json = Mapping[str, object]


def key(
    read: Callable[[Any], object],
    write: Callable[[Any], object] | None = None,
    *,
    name: str | None = None,
    default: object = MISSING,
    always: bool = False,
    none: object = None,
) -> Any:
    """A field of a `JsonObject`.

    Args:
        read: makes the value from JSON. Raises TypeError, ValueError, KeyError or AttributeError for what is none.
        write: makes JSON from the value; not needed where it is JSON already.
        name: the key, where it is not the name of the field.
        default: for objects without the key; without it, an object without the key is refused.
        always: whether it is written even if it is the default.
        none: the JSON of None.
    """
    said = {"read": read, "write": write, "name": name, "always": always or default is MISSING, "none": none}
    if isinstance(default, Mapping):
        return field(default_factory=dict, metadata=said)
    return field(metadata=said) if default is MISSING else field(default=default, metadata=said)


@dataclass(frozen=True)
class JsonObject:
    """`beside`: keys that this release cannot read. `stated`: names of fields that are written even if they are the default:
    that there is nothing to say of them was found out."""

    beside: Json = field(default_factory=dict, kw_only=True, repr=False)
    stated: frozenset[str] = field(default=frozenset(), kw_only=True, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError, ValueError or AttributeError where what every such object has is missing or is no such thing."""
        own = {_name(each): each for each in fields(cls) if "read" in each.metadata}
        known: dict[str, Any] = {}
        beside: dict[str, object] = {}
        for name, value in data.items():
            if (each := own.get(name)) is None:
                beside[name] = value
                continue
            try:
                known[each.name] = each.metadata["read"](value)
            except (TypeError, ValueError, KeyError, AttributeError):
                if _is_required(each):
                    raise
                beside[name] = value
        for name, each in own.items():
            if _is_required(each) and each.name not in known:
                raise KeyError(name)
        return cls(**known, beside=beside, stated=frozenset(known))

    def as_json(self) -> dict[str, Any]:
        """In the order of the fields."""
        said: dict[str, Any] = {}
        for each in fields(self):
            if "read" not in each.metadata:
                continue
            value, write = getattr(self, each.name), each.metadata["write"] or _same
            if each.metadata["always"] or each.name in self.stated or value != _default(each):
                said[_name(each)] = each.metadata["none"] if value is None else write(value)
        return {**said, **self.beside}


def maybe(read: Callable[[Any], _Read]) -> Callable[[Any], _Read | None]:
    """Also null."""
    return lambda value: None if value is None else read(value)


def many(read: Callable[[Any], _Read]) -> Callable[[Any], tuple[_Read, ...]]:
    """A list, each of it read."""
    return lambda value: tuple(read(each) for each in _of(list, tuple)(value))


def by_name(read: Callable[[Any], _Read]) -> Callable[[Any], dict[str, _Read]]:
    """An object, each of its values read."""
    return lambda value: {name: read(each) for name, each in _of(Mapping)(value).items()}


def written(value: Any) -> Any:
    """The JSON of what has `as_json`, or of a tuple or a mapping of it."""
    if isinstance(value, Mapping):
        return {name: written(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [written(each) for each in value]
    return value.as_json()


def _of(*kinds: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        # True is an int, and no number here.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise TypeError(f"{value!r:.40} is not {kinds[0].__name__}")
        return value

    return read


text: Callable[[Any], str] = _of(str)
flag: Callable[[Any], bool] = _of(bool)
count: Callable[[Any], int] = _of(int)
number: Callable[[Any], float] = _of(float, int)
json_object: Callable[[Any], Mapping[str, Any]] = _of(Mapping)


def interval(value: Any) -> tuple[float, float]:
    """The low and the high end."""
    low, high = many(number)(value)
    return low, high


def _same(value: object) -> object:
    return value


def _name(each: Field[Any]) -> str:
    return each.metadata["name"] or each.name


def _is_required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _default(each: Field[Any]) -> object:
    return each.default_factory() if each.default_factory is not MISSING else each.default
