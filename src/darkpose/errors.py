"""Errors the user can fix."""


class DarkposeError(ValueError):
    """An input cannot be used; the message says what was expected, what came, where, and how to fix it."""
