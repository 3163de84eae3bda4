"""A transformer small enough for tests: word pieces and an ONNX model that looks them up."""

import numpy as np

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s", "sat", "on", "mat", "."]
VECTORS = np.random.default_rng(0).normal(size=(len(PIECES), 5)).astype("float32")


def write(folder, name="model.onnx", inputs=("input_ids", "attention_mask")):
    """Writes the tokenizer and a model whose vectors are rows of `VECTORS`.

    The vector of each piece is multiplied by the number of the sentence's pieces, so that padding
    or a wrong attention mask would show.
    """
    import onnx
    import tokenizers
    from onnx import TensorProto, helper, numpy_helper
    from tokenizers import models, normalizers, pre_tokenizers, processors

    folder.mkdir(parents=True, exist_ok=True)
    numbers = {piece: number for number, piece in enumerate(PIECES)}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))

    nodes = [
        helper.make_node("Gather", ["vectors", "input_ids"], ["looked_up"]),
        helper.make_node("ReduceSum", ["attention_mask", "axis"], ["count"], keepdims=1),
        helper.make_node("Cast", ["count"], ["count_float"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["count_float", "last"], ["factor"]),
        helper.make_node("Mul", ["looked_up", "factor"], ["last_hidden_state"]),
    ]
    shape = ["batch", "pieces"]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(item, TensorProto.INT64, shape) for item in inputs],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*shape, 5])],
        [
            numpy_helper.from_array(VECTORS, "vectors"),
            numpy_helper.from_array(np.array([1]), "axis"),
            numpy_helper.from_array(np.array([2]), "last"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    onnx.save(model, str(path))
    return folder


def expected(pieces, count):
    """The mean vector of pieces in a sentence of `count` pieces, [CLS] and [SEP] included."""
    return np.mean([VECTORS[PIECES.index(piece)] for piece in pieces], axis=0) * count
