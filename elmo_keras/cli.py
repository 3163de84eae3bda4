"""The app of the command `elmo-keras`, for programs that have imported the package already."""

from elmo_keras_cli.app import app as app
from elmo_keras_cli.app import main

if __name__ == "__main__":
    main()
