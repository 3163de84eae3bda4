"""Compares the time and memory of loading a checkpoint with those of reading its file by h5py.

    python benchmarks/load.py                     # a random checkpoint of the original size
    python benchmarks/load.py --checkpoint DIR    # options.json and one HDF5 file

The two alternate, each time in a new process, because a user's first load is in a new process, too.
Later loads in the same process reuse its memory and are faster. Prints medians and their ratio.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Imports and the start of TensorFlow are not measured.
MEASURE = """
import pathlib, re, sys, time
import h5py, keras, tensorflow as tf
import elmo_keras, elmo_keras.presets

action, directory, repeats = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
(weights,) = directory.glob("*.hdf5")
tf.constant(1.0) + 1

def read():
    arrays = {}
    with h5py.File(weights) as file:
        file.visititems(
            lambda name, item: arrays.update({name: item[...]})
            if isinstance(item, h5py.Dataset) else None
        )
    return arrays

def load():
    return elmo_keras.ElmoLayer.from_preset(directory)

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])

before = peak()
seconds = []
for _ in range(repeats):
    start = time.perf_counter()
    result = {"read": read, "load": load}[action]()
    seconds.append(time.perf_counter() - start)
    grown = grown if len(seconds) > 1 else (peak() - before) / 1024
    del result
print(seconds[0], min(seconds), grown)
"""


def measure(action: str, directory: pathlib.Path, repeats: int) -> tuple[float, float, float]:
    """Measures an action in a new process.

    Args:
        action: `"read"`, h5py reads the arrays; or `"load"`, `ElmoLayer.from_preset`.
        directory: path of the checkpoint.
        repeats: number of repetitions in the process.

    Returns:
        Seconds of the first time, minimum seconds, and MiB that the first time added to the peak
        memory.
    """
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, action, str(directory), str(repeats)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout
    first, least, memory = map(float, output.split())
    return first, least, memory


def write_original(directory: pathlib.Path) -> None:
    """Writes a checkpoint of the original size, 93.6 M parameters, with random weights."""
    import elmo_keras

    elmo = elmo_keras.ElmoLayer(
        elmo_keras.layers.CharCNN(num_highways=2, projection_dim=512),
        elmo_keras.layers.BiLSTMStack(units=4096, projection_dim=512),
    )
    elmo.build((None, None, 50))
    elmo_keras.checkpoints.save_hdf5(elmo, directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        directory = arguments.checkpoint or pathlib.Path(folder)
        if arguments.checkpoint is None:
            write_original(directory)
        (weights,) = directory.glob("*.hdf5")
        size = weights.stat().st_size / 2**20
        rows = {"read": [], "load": []}
        for _ in range(arguments.rounds):
            for action, row in rows.items():
                row.append(measure(action, directory, repeats=4))
    medians = {action: [statistics.median(c) for c in zip(*row)] for action, row in rows.items()}
    print(f"{size:.0f} MiB of weights, medians of {arguments.rounds} processes each, in turn")
    print(f"{'':24}{'first, s':>10}{'again, s':>10}{'memory, MiB':>13}")
    for action, name in (("read", "h5py reads the arrays"), ("load", "from_preset")):
        first, least, memory = medians[action]
        print(f"{name:24}{first:10.3f}{least:10.3f}{memory:13.0f}")
    ratios = [a / b for a, b in zip(medians["load"], medians["read"])]
    print(f"{'ratio':24}{ratios[0]:10.2f}{ratios[1]:10.2f}{ratios[2]:13.2f}")
    print(f"peak memory of from_preset: {medians['load'][2] / size:.2f} x the weights")


if __name__ == "__main__":
    main()
