"""Tools that know neither Keras nor ELMo."""
