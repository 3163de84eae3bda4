"""The error for a data set that cannot be downloaded."""


class DatasetUnavailable(OSError):
    """A data file could not be downloaded, and `ELMO_KERAS_DATA` names no local folder.

    The message names the address, the environment variable `ELMO_KERAS_DATA`, and the path that the
    file must have in the folder that the variable names.

    Example:

    ```python
    from elmo_keras import datasets

    try:
        splits = datasets.load_sst2()
    except datasets.DatasetUnavailable:
        splits = datasets.load_own_sentiment()
    ```
    """
