"""Entry point of `python -m elmo_keras_cli`."""

from elmo_keras_cli.app import main

if __name__ == "__main__":
    main()
