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
    r"""One line for a terminal: as `printable`, and characters that a terminal would obey as \x1b, \n or \u202e."""
    if text.isprintable():
        return text
    return "".join(repr(each)[1:-1] if _is_control(each) else each for each in printable(text))


# Ends of lines; characters that show a text in another order than it is written.
_LINES_AND_DIRECTIONS = "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _is_control(character: str) -> bool:
    code = ord(character)
    return code < 32 or 127 <= code < 160 or character in _LINES_AND_DIRECTIONS
