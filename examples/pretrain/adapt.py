"""Adapts the example's model to the new text with PEFT itself and prints the curve on the held-out part.

This is how the example's learning rates were chosen, and what our own runs are compared with. It also checks that
transformers loads the folder and gives the loss of reference.json.
"""

import argparse
import json
from pathlib import Path

import torch
from peft import PeftConfig, get_peft_model
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from common import WINDOW, encode, window_loss, windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True, help="examples/data")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True, help="an adapter config as in examples/configs")
    parser.add_argument("--lr", type=float, nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(2)

    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    pieces = windows(encode(tokenizer, arguments.texts / "austen-train.txt"))
    reference = json.loads((arguments.model / "reference.json").read_text())
    held_out = {
        name: windows(encode(tokenizer, arguments.texts / Path(entry["file"]).name), entry["first"]["windows"])
        for name, entry in reference.items()
        if name.endswith("_heldout")
    }
    for lr in arguments.lr:
        torch.manual_seed(arguments.seed)
        base = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
        logits = lambda model: lambda ids: model(input_ids=ids).logits
        for name, ids in held_out.items():
            loss, expected = window_loss(logits(base), ids), reference[name]["first"]["loss"]
            if abs(loss - expected) > 1e-4:
                raise ValueError(f"{name}: transformers' loss {loss}, expected {expected}")
        fields = json.loads(arguments.config.read_text())
        del fields["base_model_name_or_path"]
        config = PeftConfig.from_peft_type(**fields)
        model = get_peft_model(base, config)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=lr, weight_decay=0.0)
        order = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(arguments.seed))
        curve = []
        for step in range(arguments.steps + 1):
            if step % arguments.every == 0:
                curve.append(round(window_loss(logits(model.eval()), held_out["new_heldout"]), 4))
            if step < arguments.steps:
                rows = order[torch.arange(step * arguments.batch, (step + 1) * arguments.batch) % len(order)]
                loss = model.train()(input_ids=pieces[rows], labels=pieces[rows]).loss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        forgotten = window_loss(logits(model.eval()), held_out["base_heldout"])
        count = sum(parameter.numel() for parameter in trained)
        print(f"{config.peft_type.value} lr {lr:g}, {count} trained: new {curve}, base {forgotten:.4f}", flush=True)


if __name__ == "__main__":
    main()
