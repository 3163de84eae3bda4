"""The special tokens of bilm-tf and AllenNLP: the sentence boundaries and the unknown word."""

BEGIN_TOKEN = "<S>"
END_TOKEN = "</S>"
UNKNOWN_TOKEN = "<UNK>"
SPECIAL_TOKENS = (BEGIN_TOKEN, END_TOKEN, UNKNOWN_TOKEN)
