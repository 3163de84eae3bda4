"""The command line `elmo-keras`: each command calls a function of `elmo_keras`.

It is a separate package because `import elmo_keras` imports Keras and TensorFlow, which takes
seconds. Help, usage errors and the version need neither. A command imports `elmo_keras` when it
runs, in `terminal.quiet_imports`.
"""
