"""Errors the user can fix."""


class DarkposeError(ValueError):
    """An input cannot be used; the message says what was expected, what came, where, and how to fix it."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


def printable(text: str) -> str:
    r"""Text that every output can hold: bytes of a file name that are no UTF-8 are written as \xff."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # halves of characters, as Windows may have them
        return text.encode("utf-8", "backslashreplace").decode()


def shown(text: str) -> str:
    r"""One line for a terminal: as `printable`, and control characters, which a terminal would obey, as \x1b or \n."""
    if text.isprintable():
        return text
    return "".join(repr(each)[1:-1] if _is_control(each) else each for each in printable(text))


def _is_control(character: str) -> bool:
    code = ord(character)
    return code < 32 or 127 <= code < 160 or character in "\u2028\u2029"
