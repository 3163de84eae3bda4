"""Code that differs between TensorFlow, JAX and PyTorch, behind one interface.

Each backend is a package of three modules, `core`, `lstm` and `trainer`. The docstrings of the
TensorFlow functions state the contract; those of JAX and PyTorch state their differences.
`defaults` has the definitions that JAX and PyTorch share, `layouts` the padded layout.

- Values: `require`, `is_concrete`, `has_dynamic_shapes`, `adopt`, `take_rows`, `distinct`
- Graphs: `is_long_loop`, `graph`, `gradients_of`, `inference`
- `tf.distribute`: `in_distribution_strategy`, `number_of_replicas`
- LSTM: `sequence_layout`, `projected_lstm`
- Training: `training_step`, `Adagrad`, `Adam`
"""

import importlib
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from elmo_keras.backend.tensorflow import core as _core
    from elmo_keras.backend.tensorflow import lstm as _lstm
    from elmo_keras.backend.tensorflow import trainer as _trainer
else:
    _core, _lstm, _trainer = (
        importlib.import_module(f"elmo_keras.backend.{keras.backend.backend()}.{name}")
        for name in ("core", "lstm", "trainer")
    )

require = _core.require
is_concrete = _core.is_concrete
has_dynamic_shapes = _core.has_dynamic_shapes
adopt = _core.adopt
take_rows = _core.take_rows
distinct = _core.distinct
is_long_loop = _core.is_long_loop
graph = _core.graph
gradients_of = _core.gradients_of
inference = _core.inference
in_distribution_strategy = _core.in_distribution_strategy
number_of_replicas = _core.number_of_replicas
sequence_layout = _lstm.sequence_layout
projected_lstm = _lstm.projected_lstm
training_step = _trainer.training_step
Adagrad = _trainer.Adagrad
Adam = _trainer.Adam
