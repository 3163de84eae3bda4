"""The command `elmo-keras teach`."""

import pathlib
from typing import Annotated

import typer

from elmo_keras_cli.arguments import Files, SplitSentences, TokenizerName
from elmo_keras_cli.terminal import console, plain_errors, quiet_imports


def teach(
    corpus: Files,
    teacher: Annotated[
        str,
        typer.Option(
            help="Folder of a transformer (tokenizer.json and an ONNX model), or an ELMo model: "
            "directory, archive, URL or published name."
        ),
    ],
    output: Annotated[
        pathlib.Path,
        typer.Option(help="Directory for the targets; an interrupted command is continued."),
    ],
    tokenizer: TokenizerName = "words",
    split_sentences: SplitSentences = False,
    components: Annotated[
        int, typer.Option(help="Number of principal components of the teacher's vectors to keep.")
    ] = 128,
    dtype: Annotated[
        str, typer.Option(help="Data type of the targets: int8, or float16 (twice the size).")
    ] = "int8",
    layers: Annotated[
        list[int] | None,
        typer.Option(help="Layer of an ELMo teacher; may be repeated. All layers by default."),
    ] = None,
) -> None:
    """Write a teacher's vectors of a corpus, from which `pretrain --teacher` learns."""
    with plain_errors():
        with quiet_imports():
            from elmo_keras import training
            from elmo_keras.training.teacher_command import load_teacher
        training.write_teacher_shards(
            load_teacher(teacher, layers),
            training.Corpus(corpus, tokenizer, split_sentences),
            output,
            components=components,
            dtype=dtype,
            report=console.print,
            progress=console.is_terminal,
        )
    console.print(f"Wrote {output}")
