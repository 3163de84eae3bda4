"""Arguments and options that are shared by several commands."""

from typing import Annotated

import typer

Files = Annotated[
    list[str], typer.Argument(help="Text files, directories or glob patterns; plain or gzip.")
]
TokenizerName = Annotated[
    str,
    typer.Option(
        help="Tokenizer: words, whitespace (for tokenized text), unicode_script or "
        "chinese_characters."
    ),
]
SplitSentences = Annotated[
    bool, typer.Option(help="Split each line into sentences; otherwise each line is one sentence.")
]
