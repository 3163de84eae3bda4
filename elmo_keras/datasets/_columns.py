"""Reads CoNLL files: one token per line with its columns, and an empty line after each sentence."""


def parse_columns(
    content: bytes, number: int, separator: str = "\t"
) -> tuple[list[list[str]], list[list[str]]]:
    """Reads the words and the labels of a CoNLL file.

    Args:
        content: bytes. The file, in UTF-8.
        number: int. Number of columns of a line. The first one is the word, the last one the label.
        separator: str. Character between columns. Defaults to a tab.

    Returns:
        The pair (sentences, labels) of a `Split`: a list of words, and a list of labels for each
        sentence.

    Raises:
        ValueError: if a line has another number of columns, or an empty one.

    Example:

    ```python
    sentences, labels = parse_columns(b"Rain B-NP\\nfalls B-VP\\n", 2, " ")
    ```
    """
    sentences: list[list[str]] = []
    labels: list[list[str]] = []
    is_new = True
    # `splitlines` would also split at characters that occur inside words.
    for line in content.decode("utf-8").split("\n"):
        if not line.strip():  # WNUT-17 has lines of a single tab between sentences.
            is_new = True
            continue
        columns = line.split(separator)
        if len(columns) != number or not all(columns):
            raise ValueError(
                f"A line must have {number} columns with {separator!r} between them: a word first "
                f"and its label last. Received: line={line!r}. Get the file again from its public "
                "address."
            )
        if is_new:
            sentences.append([])
            labels.append([])
            is_new = False
        sentences[-1].append(columns[0])
        labels[-1].append(columns[-1])
    return sentences, labels
