"""The spelling of tokens in the text that the bundled presets were trained on."""

QUOTES = str.maketrans("“”‘’", "\"\"''")
SPELLINGS = {  # of the Penn Treebank's symbols
    "``": '"',
    "''": '"',
    "`": "'",
    "--": "-",
    "-LRB-": "(",
    "-RRB-": ")",
    "-LSB-": "[",
    "-RSB-": "]",
    "-LCB-": "{",
    "-RCB-": "}",
}


def spell_token(token):
    """Replaces curly quotes and the Penn Treebank's symbols by plain characters."""
    token = token.translate(QUOTES)
    return SPELLINGS.get(token, token)
