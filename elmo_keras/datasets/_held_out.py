"""Selects development and test sets by checksums, for data sets that are published without them."""

import zlib


def tenth_of(text: str) -> int:
    """Returns the tenth of a data set that a text belongs to: its CRC-32 modulo 10.

    It is the same on every machine, and a text that occurs twice belongs to one tenth.

    Args:
        text: str.

    Returns:
        An int from 0 to 9.

    Example:

    ```python
    dev = [text for text in texts if tenth_of(text) == 0]
    ```
    """
    return zlib.crc32(text.encode("utf-8")) % 10
