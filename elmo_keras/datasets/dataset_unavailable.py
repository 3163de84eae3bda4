"""The error of a data set that is nowhere to be had."""


class DatasetUnavailable(OSError):
    """A data file could not be downloaded, and no local folder was named instead.

    The message names the address that was tried, the environment variable `ELMO_KERAS_DATA` and
    the file that is expected in the folder it names.

    Example:

    ```python
    from elmo_keras import datasets

    try:
        splits = datasets.load_sst2()
    except datasets.DatasetUnavailable:
        splits = datasets.load_own_sentiment()
    ```
    """
