"""Measures the stored (bf16) model and the trigram on both held-out texts and writes reference.json into its folder."""

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer

from common import WINDOW, Shape, encode, forward, load_weights, window_loss, windows, write_json
from trigram import best_loss

FIRST = 64
WINDOWING = (
    f"The whole file is encoded at once without special tokens. Window i holds tokens {WINDOW} i to "
    f"{WINDOW} i + {WINDOW - 1} and is a sequence of its own (positions from 0); a shorter rest is dropped. The loss "
    f"is the mean cross entropy in nats over the last {WINDOW - 1} tokens of each of the first `windows` windows."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, required=True, help="folder written by extract.py")
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(2)

    shape = Shape()
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    weights = load_weights(arguments.model)
    train = encode(tokenizer, arguments.texts / "kjv-train.txt").tolist()

    def measure(name: str) -> dict[str, object]:
        ids = encode(tokenizer, arguments.texts / name)
        result: dict[str, object] = {"file": f"../data/{name}", "tokens": len(ids), "first_ids": ids[:16].tolist()}
        for part, count in (("first", FIRST), ("all", len(ids) // WINDOW)):
            loss = window_loss(lambda batch: forward(weights, batch, shape), windows(ids, count))
            trigram, discount = best_loss(train, ids.tolist(), WINDOW, count, shape.vocab_size)
            result[part] = {
                "windows": count,
                "predicted_tokens": count * (WINDOW - 1),
                "loss": round(loss, 6),
                "trigram_loss": round(trigram, 6),
                "trigram_discount": discount,
            }
            print(f"{name}, {count} windows: model {loss:.4f}, trigram {trigram:.4f} (discount {discount})")
        return result

    reference = {
        "window": WINDOW,
        "windowing": WINDOWING,
        "trigram": f"interpolated Kneser-Ney, counted on the {len(train)} training tokens of the base text",
        "base_heldout": measure("kjv-heldout.txt"),
        "new_heldout": measure("austen-heldout.txt"),
    }
    write_json(arguments.model / "reference.json", reference)


if __name__ == "__main__":
    main()
