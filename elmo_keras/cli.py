"""The command `elmo-keras`: thin commands over plain functions."""

import contextlib
import os
import pathlib
from typing import Annotated

# TensorFlow's notes on the machine are of no use on a command line; whoever set it knows better.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import typer
from rich.console import Console

app = typer.Typer(
    help="ELMo as Keras layers.", no_args_is_help=True, pretty_exceptions_enable=False
)
console = Console(soft_wrap=True, highlight=False)
errors = Console(soft_wrap=True, highlight=False, stderr=True)


@contextlib.contextmanager
def plain_errors():
    """What is wrong with what the user gave, as a sentence and not as a traceback."""
    try:
        yield
    except (ValueError, ImportError, OSError, FloatingPointError) as error:
        errors.print(f"Error: {error}", markup=False)
        raise typer.Exit(1) from error


@app.callback()
def main():
    """ELMo as Keras layers."""


@app.command("demo")
def demo_cli(
    output: Annotated[
        pathlib.Path, typer.Option(help="Folder that the trained model goes into.")
    ] = pathlib.Path("demo_model"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training data.")] = 3,
):
    """Train a sentiment classifier with ElmoLayer, export it and serve it."""
    from elmo_keras import demo

    result = demo.run(output, console.print, epochs=epochs)
    console.print(f"Done in {result['seconds']:.0f} s.")


@app.command("convert")
def convert_cli(
    source: Annotated[
        str, typer.Argument(help="Directory, archive, file, address or published name.")
    ],
    destination: Annotated[pathlib.Path, typer.Argument(help="Folder to write, new or empty.")],
    format: Annotated[
        str, typer.Option(help="preset, hdf5, or both where HDF5 can hold the model.")
    ] = "both",
    weights: Annotated[
        str | None, typer.Option(help="HDF5 weights, if SOURCE is the file of their options.")
    ] = None,
    vocabulary: Annotated[
        pathlib.Path | None, typer.Option(help="File of words, one a line, of a model of words.")
    ] = None,
    token_embeddings: Annotated[
        pathlib.Path | None, typer.Option(help="HDF5 file of the vectors of these words.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="Expected checksum of what an address gives.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float16, half the size.")] = "float32",
):
    """Turn a model in any published form into one that needs no other package to be read."""
    from elmo_keras.presets.convert import convert

    with plain_errors():
        result = convert(
            source if weights is None else (source, weights),
            destination,
            format=format,
            vocabulary=vocabulary,
            token_embeddings=token_embeddings,
            sha256=sha256,
            dtype=dtype,
        )
    console.print(f"Recognised: {result.format}")
    for line in result.sizes:
        console.print(f"  {line}")
    console.print(f"  Parameters: {result.num_parameters:,}")
    for path in result.written:
        console.print(f"Wrote {path} ({path.stat().st_size / 1e6:,.1f} MB)")
    for note in result.notes:
        console.print(note, markup=False)


Files = Annotated[
    list[str], typer.Argument(help="Text files, directories or patterns; plain or gzip.")
]
TokenizerName = Annotated[
    str,
    typer.Option(help="words, whitespace (tokenised already), unicode_script, chinese_characters."),
]
SplitSentences = Annotated[
    bool, typer.Option(help="A line is a text of several sentences, to be split.")
]


@app.command("tokenize")
def tokenize_cli(
    corpus: Files,
    output: Annotated[pathlib.Path, typer.Option(help="Folder to write.")],
    tokenizer: TokenizerName = "words",
    split_sentences: SplitSentences = False,
):
    """Write text as tokens between spaces, a sentence a line: for machines with JAX alone."""
    from elmo_keras import training

    with plain_errors():
        source = training.Corpus(corpus, tokenizer, split_sentences)
        for path in training.write_tokenized(source, output):
            console.print(f"{path} ({path.stat().st_size / 1e6:,.1f} MB)")
        if source.undecodable:
            console.print(f"{source.undecodable:,} bytes are not UTF-8, and were read as U+FFFD.")


@app.command("vocabulary")
def vocabulary_cli(
    corpus: Files,
    output: Annotated[pathlib.Path, typer.Option(help="File to write, a word a line.")],
    size: Annotated[int, typer.Option(help="Words at most, <S>, </S>, <UNK> among them.")] = 30_000,
    min_count: Annotated[int, typer.Option(help="Leave out words that come less often.")] = 1,
    tokenizer: TokenizerName = "words",
    split_sentences: SplitSentences = False,
    model_size: Annotated[
        str, typer.Option(help="Whose memory to report: mini, small, medium, original.")
    ] = "mini",
):
    """Count the words of a corpus: the vocabulary that a language model predicts."""
    from elmo_keras import training
    from elmo_keras.training import command

    with plain_errors():
        source = training.Corpus(corpus, tokenizer, split_sentences)
        size_of_model = command.size_of(model_size)
        words, report = training.build_vocabulary(source, size, min_count)
        training.write_vocabulary(words, output)
        for line in (*command.describe(report), *command.describe_model(size_of_model, len(words))):
            console.print(line)
    console.print(f"Wrote {output}")


@app.command("pretrain")
def pretrain_cli(
    corpus: Files,
    output: Annotated[pathlib.Path, typer.Option(help="Folder of the run; resumed if it exists.")],
    validation: Annotated[
        list[str] | None, typer.Option(help="Text files whose perplexity is taken.")
    ] = None,
    tokenizer: TokenizerName = "words",
    split_sentences: SplitSentences = False,
    text_tokenizer: Annotated[
        str | None,
        typer.Option(help="How the finished model splits raw text, if not as the corpus was."),
    ] = None,
    size: Annotated[str, typer.Option(help="mini, small, medium, original.")] = "mini",
    units: Annotated[int | None, typer.Option(help="Cells of an LSTM, if not the size's.")] = None,
    projection: Annotated[int | None, typer.Option(help="Half of a vector's size.")] = None,
    filters: Annotated[
        str | None, typer.Option(help="Of the character CNN, width and number: 1x16,2x32.")
    ] = None,
    max_characters: Annotated[int, typer.Option(help="Bytes of a word, plus two.")] = 50,
    source: Annotated[
        str | None,
        typer.Option("--from", help="Checkpoint to adapt: directory, archive, address or name."),
    ] = None,
    vocabulary: Annotated[
        pathlib.Path | None,
        typer.Option(help="File of words; else the checkpoint's own, or they are counted."),
    ] = None,
    words: Annotated[int, typer.Option(help="Words of a vocabulary that is counted.")] = 30_000,
    epochs: Annotated[float, typer.Option(help="Passes over the corpus.")] = 1.0,
    tokens: Annotated[int | None, typer.Option(help="Instead: tokens to train on.")] = None,
    batch_size: Annotated[int, typer.Option(help="Streams side by side.")] = 64,
    window: Annotated[int, typer.Option(help="Words that gradients go back.")] = 20,
    negatives: Annotated[int, typer.Option(help="Words of the sampled softmax.")] = 2048,
    dropout: float = 0.1,
    fresh_starts: Annotated[
        float, typer.Option(help="Share of windows that start a sentence from zero states.")
    ] = 0.05,
    optimizer: Annotated[str, typer.Option(help="adam or adagrad.")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="The highest one.")] = 2e-3,
    warmup: Annotated[int, typer.Option(help="Steps in which it rises.")] = 200,
    decay: Annotated[float, typer.Option(help="Last share of the run, in which it falls.")] = 1.0,
    max_norm: Annotated[float, typer.Option(help="Of the gradient over all weights.")] = 10.0,
    seed: int = 0,
    dtype: Annotated[str, typer.Option(help="float32, mixed_bfloat16 or mixed_float16.")] = (
        "float32"
    ),
    validate_every: Annotated[int, typer.Option(help="Steps between validations.")] = 5000,
    checkpoint_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 500,
    log_every: Annotated[int, typer.Option(help="Steps that a line sums up.")] = 50,
    strategy: Annotated[str, typer.Option(help="none, mirrored or multi_worker.")] = "none",
):
    """Pretrain a biLM on text. A run that was stopped or killed goes on when started again."""
    from elmo_keras import training
    from elmo_keras.training import command

    with plain_errors():
        command.use_threads()
        texts = training.Corpus(corpus, tokenizer, split_sentences)
        held_out = training.Corpus(validation, tokenizer, split_sentences) if validation else None
        command.run(
            texts,
            output,
            command.size_of(size, units, projection, filters),
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
            },
            validate_every=validate_every,
            checkpoint_every=checkpoint_every,
            log_every=log_every,
            report=lambda line: console.print(line, markup=False),
        )
        if texts.undecodable:
            console.print(f"{texts.undecodable:,} bytes are not UTF-8, and were read as U+FFFD.")
    console.print(f"Wrote {output / 'preset'}: ElmoLayer.from_preset reads it.")


@app.command("evaluate")
def evaluate_cli(
    model: Annotated[str, typer.Argument(help="Checkpoint with a softmax, or a preset's name.")],
    text: Files,
    tokenizer: Annotated[
        str | None, typer.Option(help="If not the model's own: words, whitespace, ...")
    ] = None,
    split_sentences: SplitSentences = False,
    vocabulary: Annotated[
        pathlib.Path | None, typer.Option(help="File of words, if not beside the softmax.")
    ] = None,
):
    """The perplexities of a language model on a text, by the full softmax."""
    from elmo_keras import training
    from elmo_keras.models import BidirectionalLanguageModel

    with plain_errors():
        loaded = BidirectionalLanguageModel.from_preset(model, vocabulary)
        corpus = training.Corpus(text, tokenizer or loaded.tokenizer, split_sentences)
        sentences = list(corpus)
        if not sentences:
            raise corpus.without_tokens()
        result = loaded.perplexity(sentences)
    console.print(
        f"perplexity {result.mean:,.3f}: {result.forward:,.3f} forward, {result.backward:,.3f} "
        f"backward; {result.words:,} words each"
    )


if __name__ == "__main__":
    app()
