"""The commands `elmo-keras tokenize` and `elmo-keras vocabulary`."""

import pathlib
from typing import Annotated

import typer

from elmo_keras_cli.arguments import Files, SplitSentences, TokenizerName
from elmo_keras_cli.terminal import console, plain_errors, quiet_imports


def tokenize(
    corpus: Files,
    output: Annotated[pathlib.Path, typer.Option(help="Directory for the tokenized files.")],
    tokenizer: TokenizerName = "words",
    split_sentences: SplitSentences = False,
) -> None:
    """Tokenize text files: one sentence per line, tokens separated by spaces.

    `pretrain --tokenizer whitespace` reads the output, even on a machine without TensorFlow.
    """
    with plain_errors():
        with quiet_imports():
            from elmo_keras import training
        source = training.Corpus(corpus, tokenizer, split_sentences)
        for path in training.write_tokenized(source, output, progress=console.is_terminal):
            console.print(f"{path} ({path.stat().st_size / 1e6:,.1f} MB)")
        if source.undecodable:
            console.print(f"{source.undecodable:,} bytes are not UTF-8, and were read as U+FFFD.")


def vocabulary(
    corpus: Files,
    output: Annotated[
        pathlib.Path, typer.Option(help="Vocabulary file to write, one word per line.")
    ],
    size: Annotated[
        int, typer.Option(help="Maximum number of words, including <S>, </S> and <UNK>.")
    ] = 30_000,
    min_count: Annotated[
        int, typer.Option(help="Minimum number of occurrences of a word in the corpus.")
    ] = 1,
    tokenizer: TokenizerName = "words",
    split_sentences: SplitSentences = False,
    model_size: Annotated[
        str,
        typer.Option(
            help="Model size to estimate training memory for: mini, small, medium or original."
        ),
    ] = "mini",
) -> None:
    """Count the words of a corpus and write the vocabulary of a language model."""
    with plain_errors():
        with quiet_imports():
            from elmo_keras import training
            from elmo_keras.training import command
        source = training.Corpus(corpus, tokenizer, split_sentences)
        estimated_size = command.model_size(model_size)
        words, report = training.build_vocabulary(
            source, size, min_count, progress=console.is_terminal
        )
        training.write_vocabulary(words, output)
        for line in command.describe_vocabulary(report):
            console.print(line)
        for line in command.describe_model(estimated_size, len(words)):
            console.print(line)
    console.print(f"Wrote {output}")
