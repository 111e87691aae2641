"""Byte-pair encoding and SentencePiece merging written as their definitions read, slow and obvious, to compare with."""

import itertools

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def smollm_words(text):
    """Every character of category N alone, what is between them split by GPT-2's expression."""
    import regex

    return [word for part in regex.split(r"(\p{N})", text) for word in regex.findall(GPT2, part)]


def merge_by_rank(word, ranks):
    """Join the pair of lowest rank, leftmost among equals, until none has a rank."""
    parts = list(word)
    while True:
        pairs = [(ranks[pair], at) for at, pair in enumerate(itertools.pairwise(parts)) if pair in ranks]
        if not pairs:
            return parts
        _, at = min(pairs)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def merge_by_score(text, scores):
    """Join the neighbours whose union has the best score, leftmost among equals, until no union is a piece."""
    parts = list(text)
    while True:
        unions = [(-scores[left + right], at) for at, (left, right) in enumerate(itertools.pairwise(parts)) if left + right in scores]
        if not unions:
            return parts
        _, at = min(unions)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
