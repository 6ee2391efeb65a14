"""What an HTML page holds, for tests."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """Elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data):
        self.texts.append(data.strip())

    def count(self, tag: str, **attributes: str) -> int:
        found = (given for name, given in self.elements if name == tag)
        return sum(all(given.get(key) == value for key, value in attributes.items()) for given in found)
