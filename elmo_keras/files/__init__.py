"""Files from untrusted sources, read within bounds, and files that are replaced as a whole."""
