"""Interpolated Kneser-Ney trigram model over tokens: the yardstick that the pretrained model has to beat."""

from collections import Counter
from math import log


class Trigram:
    """Counts of a token stream; the lower orders count distinct left contexts, as Kneser and Ney proposed."""

    def __init__(self, tokens: list[int], vocab_size: int):
        self.vocab_size = vocab_size
        self.trigrams = Counter(zip(tokens, tokens[1:], tokens[2:]))
        self.trigram_contexts = Counter(zip(tokens[:-1], tokens[1:-1]))
        self.trigram_types = Counter((u, v) for u, v, _ in self.trigrams)
        self.bigrams = Counter((v, w) for _, v, w in self.trigrams)
        self.bigram_contexts = Counter(v for _, v, _ in self.trigrams)
        self.bigram_types = Counter(v for v, _ in self.bigrams)
        self.unigrams = Counter(w for _, w in self.bigrams)

    def probability(self, u: int, v: int, w: int, discount: float) -> float:
        """P(w | u v), each order discounted by the same amount and interpolated with the next lower one."""
        total = len(self.bigrams)
        p = (max(self.unigrams[w] - discount, 0) + discount * len(self.unigrams) / self.vocab_size) / total
        if total := self.bigram_contexts[v]:
            p = (max(self.bigrams[v, w] - discount, 0) + discount * self.bigram_types[v] * p) / total
        if total := self.trigram_contexts[u, v]:
            p = (max(self.trigrams[u, v, w] - discount, 0) + discount * self.trigram_types[u, v] * p) / total
        return p

    def loss(self, tokens: list[int], positions: list[int], discount: float) -> float:
        """Mean cross entropy in nats of the tokens at `positions`, each given the two tokens before it."""
        return -sum(log(self.probability(*tokens[i - 2 : i + 1], discount)) for i in positions) / len(positions)


def best_loss(train: list[int], tokens: list[int], window: int, count: int, vocab_size: int) -> tuple[float, float]:
    """(loss, discount) on the predicted tokens of the first `count` windows, with the discount that suits them best.

    The trigram sees both previous tokens everywhere, at a window's start also those before the window: an advantage
    that the model does not have. Only the stream's second token, which has one predecessor, is padded (by token 0).
    """
    model = Trigram(train, vocab_size)
    padded = [0, *tokens]
    positions = [1 + start * window + offset for start in range(count) for offset in range(1, window)]
    return min((model.loss(padded, positions, step / 20), step / 20) for step in range(10, 20))
