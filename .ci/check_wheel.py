"""Checks a wheel that is installed in a folder: it must hold every file of both packages.

```
PYTHONPATH=FOLDER python -P .ci/check_wheel.py FOLDER
```

Run it in the root of the repository.
"""

import pathlib
import sys

import elmo_keras
from elmo_keras import datasets

site = pathlib.Path(sys.argv[1]).resolve()
if site not in pathlib.Path(elmo_keras.__file__).resolve().parents:
    sys.exit(f"The package must be imported from {site}. Received: {elmo_keras.__file__}")
expected = {
    path
    for package in ("elmo_keras", "elmo_keras_cli")
    for path in pathlib.Path(package).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
missing = sorted(str(path) for path in expected if not (site / path).is_file())
if missing:
    sys.exit(f"The wheel must hold all files of both packages. Received: none of {missing}")
datasets.load_own_sentiment()
print(f"The wheel holds all {len(expected)} files of the packages.")
