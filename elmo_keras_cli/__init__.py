"""The command `elmo-keras`: thin commands over plain functions.

A package of its own, because `import elmo_keras` imports Keras and TensorFlow, which takes seconds,
and help, usage errors and the version need neither. A command imports `elmo_keras` when it runs,
inside of `terminal.quiet_imports`.
"""
