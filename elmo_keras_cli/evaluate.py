"""The command `elmo-keras evaluate`."""

import pathlib
from typing import Annotated

import typer

from elmo_keras_cli.arguments import Files, SplitSentences
from elmo_keras_cli.terminal import console, plain_errors, quiet_imports


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="Language model with a softmax: directory, archive, URL or published name."
        ),
    ],
    text: Files,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Tokenizer, if not the model's own: words, whitespace (for tokenized text), "
            "unicode_script or chinese_characters."
        ),
    ] = None,
    split_sentences: SplitSentences = False,
    vocabulary: Annotated[
        pathlib.Path | None,
        typer.Option(help="Vocabulary file, one word per line, if the model has none."),
    ] = None,
) -> None:
    """Compute a language model's perplexity on text, forward and backward."""
    with plain_errors():
        with quiet_imports():
            from elmo_keras import training
            from elmo_keras.models import BidirectionalLanguageModel
        loaded = BidirectionalLanguageModel.from_preset(model, vocabulary)
        corpus = training.Corpus(text, tokenizer or loaded.tokenizer, split_sentences)
        sentences = list(corpus)
        if not sentences:
            raise corpus.empty_error()
        result = loaded.perplexity(sentences)
    console.print(
        f"perplexity {result.mean:,.3f}: {result.forward:,.3f} forward, {result.backward:,.3f} "
        f"backward; {result.num_words:,} words each"
    )
