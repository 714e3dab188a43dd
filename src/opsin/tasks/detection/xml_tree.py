"""Read small XML files without trust: no document type, no entities, nothing external, limited depth.

Entities that refer to entities expand without limit ("billion laughs"), and external ones read other files, so every
document type declaration is refused; annotations have none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from opsin.tasks.problems import UNREADABLE_FILE, UNSAFE_XML, AnnotationFault, printable

MAX_DEPTH = 32
"""Levels of elements; annotations have four."""


@dataclass(slots=True)
class Element:
    """An element: its name in lower case, its own text, and the elements inside."""

    tag: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def get(self, tag: str) -> str:
        """Return the text of the first child of this name, without surrounding spaces; "" if there is none."""
        child = self.child(tag)
        return child.text.strip() if child else ""

    def child(self, tag: str) -> Element | None:
        """Return the first child of this name."""
        return next((child for child in self.children if child.tag == tag), None)


class _Builder:
    """Builds the tree from the events of the parser."""

    def __init__(self) -> None:
        self.root = Element("")
        self._path = [self.root]

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._path) > MAX_DEPTH:
            raise AnnotationFault(UNSAFE_XML, f"its elements are nested more than {MAX_DEPTH} deep")
        element = Element(tag.lower())
        self._path[-1].children.append(element)
        self._path.append(element)

    def end(self, tag: str) -> None:
        self._path.pop()

    def text(self, data: str) -> None:
        self._path[-1].text += data


def parse(data: bytes) -> Element:
    """Return the root element. Raise `AnnotationFault` if the data is not XML, or declares a document type."""
    parser, builder = expat.ParserCreate(), _Builder()
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise AnnotationFault(UNREADABLE_FILE, f"is not valid XML: {printable(error)}") from error
    return builder.root.children[0]


def _refuse(*declaration: object) -> NoReturn:
    raise AnnotationFault(UNSAFE_XML, "declares a document type or entities, which annotations do not need")
