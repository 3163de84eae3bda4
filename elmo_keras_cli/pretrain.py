"""The command `elmo-keras pretrain`."""

import pathlib
from collections.abc import Callable
from typing import Annotated, Any

import typer

from elmo_keras_cli.arguments import Files, SplitSentences, TokenizerName
from elmo_keras_cli.terminal import console, plain_errors, quiet_imports


def panel(name: str) -> Callable[..., Any]:
    """Return `typer.Option`, bound to a panel of the help text."""
    return lambda *args, **kwargs: typer.Option(*args, rich_help_panel=name, **kwargs)


model_option, training_option, run_option = map(panel, ("Model", "Training", "Run"))


def pretrain(
    corpus: Files,
    output: Annotated[
        pathlib.Path, typer.Option(help="Directory of the run; an existing run is resumed.")
    ],
    validation: Annotated[
        list[str] | None,
        typer.Option(help="Held-out text to report perplexity on; may be repeated."),
    ] = None,
    tokenizer: TokenizerName = "words",
    split_sentences: SplitSentences = False,
    text_tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Tokenizer of the trained model for raw text, if not the one of --tokenizer."
        ),
    ] = None,
    size: Annotated[
        str, model_option(help="Size of a new model: mini, small, medium or original.")
    ] = "mini",
    units: Annotated[
        int | None, model_option(help="LSTM cells per layer and direction, if not those of --size.")
    ] = None,
    projection: Annotated[
        int | None,
        model_option(
            help="LSTM projection size (half of a token vector), if not the one of --size."
        ),
    ] = None,
    filters: Annotated[
        str | None,
        model_option(
            help="Character CNN filters as WIDTHxCOUNT, like 1x16,2x32, if not those of --size."
        ),
    ] = None,
    max_characters: Annotated[
        int, model_option(help="Maximum word length in bytes, plus 2 for the word's boundaries.")
    ] = 50,
    source: Annotated[
        str | None,
        model_option(
            "--from",
            help="Model to adapt, instead of a new one: directory, archive, URL or published name.",
        ),
    ] = None,
    vocabulary: Annotated[
        pathlib.Path | None,
        model_option(
            help="Vocabulary file, one word per line; by default the adapted model's own, or the "
            "corpus's words."
        ),
    ] = None,
    words: Annotated[
        int, model_option(help="Maximum vocabulary size, if it is built from the corpus.")
    ] = 30_000,
    epochs: Annotated[float, training_option(help="Passes over the corpus.")] = 1.0,
    tokens: Annotated[
        int | None,
        training_option(help="Number of training tokens, as an alternative to --epochs."),
    ] = None,
    batch_size: Annotated[int, training_option(help="Parallel text streams.")] = 64,
    window: Annotated[
        int, training_option(help="Truncated-backpropagation length, in words.")
    ] = 20,
    negatives: Annotated[
        int,
        training_option(
            help="Number of words that the sampled softmax draws; smaller vocabularies use the "
            "full softmax."
        ),
    ] = 2048,
    dropout: Annotated[
        float,
        training_option(
            help="Dropout rate of each LSTM layer's input and of the last layer's output."
        ),
    ] = 0.1,
    fresh_starts: Annotated[
        float,
        training_option(
            help="Share of windows in which a stream starts a sentence from zero LSTM states."
        ),
    ] = 0.05,
    optimizer: Annotated[str, training_option(help="Optimizer: adam or adagrad.")] = "adam",
    learning_rate: Annotated[float, training_option(help="Peak learning rate.")] = 2e-3,
    warmup: Annotated[int, training_option(help="Linear warm-up steps.")] = 200,
    decay: Annotated[
        float,
        training_option(
            help="Final share of the run in which the learning rate falls linearly to 0."
        ),
    ] = 1.0,
    max_norm: Annotated[
        float, training_option(help="Gradient clipping threshold, a norm over all weights.")
    ] = 10.0,
    seed: Annotated[
        int, training_option(help="Seed of all random numbers, initial weights included.")
    ] = 0,
    teacher: Annotated[
        str | None,
        training_option(
            help="Teacher to learn from as well: directory of targets that `teach` has written, "
            "or a model as for `teach --teacher`, which is asked during training."
        ),
    ] = None,
    teacher_weight: Annotated[
        float, training_option(help="Weight of the teacher's error in the loss, in nats per word.")
    ] = 3.0,
    teacher_sentence_weight: Annotated[
        float,
        training_option(
            help="Weight of the error of each sentence's mean vector, times --teacher-weight."
        ),
    ] = 2.0,
    teacher_batch_size: Annotated[
        int | None,
        training_option(help="Teacher's sentences in a step; as many as streams by default."),
    ] = None,
    dtype: Annotated[
        str, run_option(help="Dtype policy: float32, mixed_bfloat16 or mixed_float16.")
    ] = "float32",
    validate_every: Annotated[int, run_option(help="Steps between validations.")] = 5000,
    checkpoint_every: Annotated[int, run_option(help="Steps between checkpoints.")] = 500,
    log_every: Annotated[int, run_option(help="Steps between progress lines.")] = 50,
    strategy: Annotated[
        str,
        run_option(
            help="Distribution: none (one device), mirrored (all GPUs of this machine) or "
            "multi_worker (several machines)."
        ),
    ] = "none",
) -> None:
    """Pretrain a bidirectional language model on text.

    The same command resumes a run that was stopped or killed.
    """
    with plain_errors():
        with quiet_imports():
            from elmo_keras import training
            from elmo_keras.training import command
        command.set_thread_counts()
        texts = training.Corpus(corpus, tokenizer, split_sentences)
        held_out = training.Corpus(validation, tokenizer, split_sentences) if validation else None
        command.pretrain_from_text(
            texts,
            output,
            command.model_size(size, units, projection, filters),
            max_characters,
            source=source,
            vocabulary=vocabulary,
            num_words=words,
            tokens=tokens,
            epochs=epochs,
            validation=held_out,
            dtype=dtype,
            text_tokenizer=text_tokenizer,
            strategy=strategy,
            options={
                "batch_size": batch_size,
                "window": window,
                "num_negatives": negatives,
                "dropout": dropout,
                "fresh_starts": fresh_starts,
                "optimizer": optimizer,
                "learning_rate": learning_rate,
                "warmup": warmup,
                "decay": decay,
                "max_norm": max_norm,
                "seed": seed,
                "teacher_weight": teacher_weight,
                "teacher_sentence_weight": teacher_sentence_weight,
                "teacher_batch_size": teacher_batch_size,
            },
            teacher=teacher,
            validate_every=validate_every,
            checkpoint_every=checkpoint_every,
            log_every=log_every,
            report=console.print,
            progress=console.is_terminal,
        )
        if texts.undecodable:
            console.print(f"{texts.undecodable:,} bytes are not UTF-8, and were read as U+FFFD.")
    console.print(f"Wrote {output / 'preset'}: ElmoLayer.from_preset reads it.")
