"""The methods of `ElmoLayer` that read and write checkpoints."""


class PresetMethods:
    """`from_preset` and `save_to_preset`, by KerasHub's names.

    Layers stand left of presets in the order of imports. These two conveniences reach right, each
    inside of the function that needs it.
    """

    @classmethod
    def from_preset(cls, source, **options):
        """An ElmoLayer with the weights of a checkpoint, whatever form it is in.

        What `source` may be:

        - a directory, recognised by what is in it: a preset of this package; `options.json` and
          HDF5 weights of bilm-tf or AllenNLP; a bilm-tf training checkpoint; ELMoForManyLangs; a
          TF-Hub module
        - a zip or tar archive of such a directory, with or without an enclosing folder
        - a file of HDF5 weights with the options beside it, or a pair `(options, weights)`
        - an http(s) address of an archive or of HDF5 weights, or a pair of addresses: fetched once
          and kept
        - the name of a small model that comes with the package: `"elmo_mini_en"`, `"elmo_mini_zh"`
        - the name of a model that AllenNLP published: `"small"`, `"medium"`, `"original"`,
          `"original_5.5b"`, `"portuguese"`, `"pubmed"`: the same

        ELMoForManyLangs needs torch to be read, TensorFlow 1 and TF-Hub need TensorFlow;
        `elmo-keras convert` makes a preset of them, which needs neither.

        A layer without `dtype` computes in the global dtype policy, whatever the source was saved
        in. Without `name` it has the name that its user gave before it was saved, or else a new one
        of its own, so that one model may hold several of them.

        Args:
            source: str, path or pair, as above.
            **options: arguments of `ElmoLayer` that the checkpoint does not decide: `output`,
                `dropout`, `state`, `trainable`, `dtype` and so on; and of the checkpoint:
                - `sha256`: the expected checksum of what an address gives, of two addresses a pair.
                - `vocabulary`: path of the file of words, one a line, of a model that reads words;
                  else it is looked for beside the weights.
                - `token_embeddings`: path of an HDF5 file with the vectors of that vocabulary's
                  words (bilm-tf's `dump_token_embeddings`), to stand in for the characters.

        Returns:
            An ElmoLayer, built.

        Raises:
            ValueError: if files are missing, cut short, hostile, or do not fit each other; if an
                option is no argument of `ElmoLayer`, or has a value that the layer refuses.
            ImportError: if the format needs a package that is not installed.
            OSError: if an address cannot be reached.

        Example:

        ```python
        elmo = elmo_keras.ElmoLayer.from_preset("elmo_original/", trainable=False)
        ```
        """
        from elmo_keras import presets

        return presets.load_elmo_layer(source, cls=cls, **options)

    def save_to_preset(self, directory, dtype="float32"):
        """Writes the layer into a directory that `from_preset` reads on every backend.

        It holds the layer's config and all its weights, those of mixes and of a warm state too, and
        needs no other package to be read.

        A preset that is there is replaced as a whole: whenever the program is killed, `from_preset`
        finds the old one or the new one. While the files are exchanged, `config.json` is absent for
        a moment; after a kill in that moment the new files are in the hidden folder
        `.config.json.new`, where `from_preset` reads them, until the next save. Other processes
        that save to the same directory wait.

        Args:
            directory: where `config.json`, `model.weights.h5` and `metadata.json` go; made if
                absent.
            dtype: str. `"float32"`, the default, or `"float16"`, half the size, rounded.

        Raises:
            ValueError: if the layer is not built, or quantized; if a weight is NaN or infinite, or
                too large for float16.
            OSError: if a file cannot be written, on a full disk say. The old preset is unchanged.

        Example:

        ```python
        elmo.save_to_preset("elmo_mine/")
        elmo = elmo_keras.ElmoLayer.from_preset("elmo_mine/")
        ```
        """
        from elmo_keras import presets

        presets.save_preset(self, directory, dtype)
