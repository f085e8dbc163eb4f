"""Errors the user can fix."""

import sys


class DarkposeError(ValueError):
    """An input cannot be used; the message says what was expected, what came, where, and how to fix it."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


def check_unmasked(name: str, values: object) -> None:
    """Refuse a NumPy array of which values are masked: other functions would take what is under the mask.

    Args:
        name: of the values, for the message.
        values: anything.

    Raises:
        DarkposeError: some are masked.
    """
    masks = sys.modules.get("numpy.ma")  # not imported: nothing can be masked
    if masks is not None and masks.is_masked(values):
        raise DarkposeError(
            f"{name}: some values are masked, but masks are not used; fill them (.filled) or leave them out"
        )


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
