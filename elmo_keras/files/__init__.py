"""Bounded reading of untrusted files, downloads, and atomic writing."""
