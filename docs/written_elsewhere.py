"""The parts of the site that are written elsewhere, so that nothing is said twice: mkdocs calls `on_page_markdown`.

A comment on a line of its own stands for what is put there:

    include: README.md#Settings    what a file says below a heading, up to the next one; the whole file without a heading
    the commands                   every command with its arguments and options
    the HTTP API                   every operation and schema of openapi.yaml
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
import yaml

from ml_backend.cli import app

ROOT = Path(__file__).resolve().parents[1]
_COMMENT = re.compile(
    r"^<!-- (?:include: (?P<file>[\w./-]+)(?:#(?P<heading>.+))?|the (?P<what>commands|HTTP API)) -->$", re.MULTILINE
)
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")
# What a person reads at the top level of the repository, and the page that has the same.
_PAGE_OF = {"README.md": "docs/index.md", "SECURITY.md": "docs/security.md", "CHANGELOG.md": "docs/changes.md"}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page with everything put in, its links leading to pages of the site."""
    at = f"docs/{page.file.src_uri}"

    def put_in(found: re.Match[str]) -> str:
        if found["what"]:
            return "\n".join(
                commands("coldblitz", typer.main.get_command(app)) if found["what"] == "commands" else http_api()
            )
        return _leading(section(found["file"], found["heading"]), found["file"], at)

    return _COMMENT.sub(put_in, _leading(markdown, at, at))


def section(file: str, heading: str | None) -> str:
    """What `file` says below `heading` up to the next heading, or without one all of it but its title.

    Raises ValueError when there is no such heading, or nothing below it.
    """
    text = (ROOT / file).read_text(encoding="utf-8")
    if heading is None:
        return text.partition("\n")[2].strip()
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise ValueError(f"{file} says nothing below the heading {heading!r}.")
    return found[1].strip()


def _leading(text: str, written_in: str, at: str) -> str:
    """`text` with its links, which lead from the file `written_in`, leading from the page `at`."""

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(written_in), found[1]))
        return posixpath.relpath(_PAGE_OF.get(target, target), posixpath.dirname(at))

    return _LINK.sub(link, text)


def commands(name: str, command: Any) -> Iterator[str]:
    """The lines about a command and those below it."""
    if command.hidden:
        return
    if below := getattr(command, "commands", None):
        for word, each in below.items():
            yield from commands(f"{name} {word}", each)
        return
    told, _, example = " ".join((command.help or "").split()).partition(" Example: ")
    yield from (f"## {name}", "", told.replace("<", "&lt;"), "", f"    {example}", "")
    rows = [row for parameter in command.params if (row := _parameter(parameter))]
    if rows:
        yield from ("| name | what | default |", "|---|---|---|", *rows, "")


def _parameter(parameter: Any) -> str | None:
    if parameter.hidden:
        return None
    option = parameter.param_type_name == "option"
    name = ", ".join(parameter.opts) if option else parameter.name.upper()
    default = parameter.default
    shown = (
        "needed"
        if parameter.required
        else ""
        if default in (None, False)
        else f"`{getattr(default, 'value', default)}`"
    )
    variable = f" Or the variable `{parameter.envvar}`." if parameter.envvar else ""
    return f"| `{name}` | {_cell(parameter.help or '')}{variable} | {shown} |"


def http_api() -> Iterator[str]:
    """The lines about every operation and schema."""
    described = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
    parts = described["components"]
    for tag in described["tags"]:
        yield from (f"## {tag['name']}", "", tag["description"], "")
        for path, item in described["paths"].items():
            for method, operation in item.items():
                if method != "parameters" and tag["name"] in operation["tags"]:
                    yield from _operation(f"{method.upper()} {path}", operation, item.get("parameters", []), parts)
    yield from ("## Schemas", "")
    for name, schema in parts["schemas"].items():
        yield from (f"### {name}", "", schema.get("description", ""), "")
        if schema.get("properties"):
            yield from ("| field | type | what |", "|---|---|---|", *_fields(schema), "")
        else:
            yield from (_type(schema), "")


def _operation(
    name: str, operation: Mapping[str, Any], asked: list[Mapping[str, Any]], parts: Mapping[str, Any]
) -> Iterator[str]:
    yield from (f"### {name}", "", f"{operation['summary']} {operation.get('description', '')}", "")
    yield from ("| part | which | what |", "|---|---|---|")
    for each in asked:
        parameter = _resolved(each, parts)
        yield f"| {parameter['in']} | `{parameter['name']}` | {_cell(parameter['description'])} |"
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"| body | `{media}` | {_type(body['schema'])} |"
    for status, each in operation["responses"].items():
        answer = _resolved(each, parts)
        types = ", ".join(_type(content.get("schema", {})) for content in answer.get("content", {}).values())
        yield f"| answer | {status} | {_cell(answer['description'])} {types} |"
    yield ""


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, field in schema["properties"].items():
        needed = "" if name in schema.get("required", ()) else " (may be missing)"
        yield f"| `{name}` | {_type(field)}{needed} | {_cell(field.get('description', ''))} |"


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, with links to those that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    either = schema.get("oneOf") or schema.get("anyOf")
    if either:
        return " or ".join(map(_type, either))
    kinds = schema.get("type", "anything")
    told = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if told == "array":
        return (
            f"list of {_type(schema['items'])}"
            if "items" in schema
            else "empty list"
            if schema.get("maxItems") == 0
            else "list"
        )
    if schema.get("properties"):
        return ", ".join(f"`{name}`: {_type(field)}" for name, field in schema["properties"].items())
    if "additionalProperties" in schema:
        return f"object of {_type(schema['additionalProperties'])}"
    return str(told)


def _resolved(part: Mapping[str, Any], parts: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    found: Mapping[str, Any] = parts[kind][name]
    return found


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
