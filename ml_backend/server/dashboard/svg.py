"""SVG elements as escaped text. The pages allow no styles inside them, so looks come from classes and from `fill`."""

from __future__ import annotations

from markupsafe import Markup, escape


def element(name: str, *children: str | Markup, **attributes: object) -> Markup:
    """`<name …>children</name>`; in attribute names an underscore is a dash, and `class_` is `class`. None is left out."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), number(value))
        for key, value in attributes.items()
        if value is not None
    )
    if not children:
        return Markup("<{}{}/>").format(name, written)
    return Markup("<{}{}>{}</{}>").format(name, written, Markup("").join(map(escape, children)), name)


def picture(
    width: float, height: float, title: str, desc: str, *children: Markup, class_: str = "", stretch: bool = False
) -> Markup:
    """An `<svg>` that a screen reader reads as one picture: its title, then what it shows in words.

    With `stretch` it fills whatever room it has, and had better have no text in it.
    """
    return element(
        "svg",
        element("title", title),
        *([element("desc", desc)] if desc else []),
        *children,
        class_=f"chart {class_}".strip(),
        viewBox=f"0 0 {number(width)} {number(height)}",
        preserveAspectRatio="none" if stretch else None,
        role="img",
        aria_label=f"{title}. {desc}" if desc else title,
    )


def number(value: object) -> object:
    """Coordinates in few digits."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
