"""What the simulated people like, and agon is not told: one whole sentence of at most 16 words."""
import re


def pleases(text):
    text = text.strip()
    return len(text.split()) <= 16 and text[-1:] in list(".!?") and not re.search(r"[.!?\n]\s", text)
