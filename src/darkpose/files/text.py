"""Text files: UTF-8, with or without a byte order mark; texts in quotes, for TOML and YAML files."""

from pathlib import Path

from darkpose.errors import DarkposeError, printable
from darkpose.files.paths import check_regular


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, its line ends as they are.

    Raises:
        DarkposeError: the file cannot be read, or is not UTF-8.
    """
    try:
        check_regular(path)
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DarkposeError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def quoted(text: str) -> str:
    r"""A text in double quotes, as TOML and YAML read it; what cannot be printed is written as \uXXXX."""
    return '"' + "".join(map(_escaped, printable(text))) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    return character if character.isprintable() else f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
