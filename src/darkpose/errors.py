"""Errors the user can fix."""


class DarkposeError(ValueError):
    """An input cannot be used; the message says what was expected, what came, where, and how to fix it."""

    def __init__(self, message: str) -> None:
        super().__init__(without_controls(message))


def without_controls(text: str) -> str:
    """The text with control characters as escapes, which a terminal would obey; line feeds and tabs stay."""
    if text.isprintable():
        return text
    return "".join(repr(each)[1:-1] if _is_control(each) else each for each in text)


def _is_control(character: str) -> bool:
    code = ord(character)
    return (code < 32 and character not in "\n\t") or 127 <= code < 160
