"""Pretrains the example's base model on the King James Bible and writes it as a Hugging Face folder, bf16.

Deterministic for one version of torch and one number of threads. About 25 minutes on two cores.
"""

import argparse
import math
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from common import Shape, encode, forward, weight_shapes, write_json

SEED = 0
BATCH, LENGTH = 16, 256
PEAK_LR, WARM_UP, WEIGHT_DECAY, CLIP = 4e-3, 100, 0.1, 1.0


def initial_weights(shape: Shape) -> dict[str, Tensor]:
    """Ones for norms, N(0, 0.02) else; the layers that write to the residual stream are scaled down by its depth."""
    generator = torch.Generator().manual_seed(SEED)
    weights = {}
    for name, size in weight_shapes(shape).items():
        deep = name.endswith(("o_proj.weight", "down_proj.weight"))
        scale = 0.02 / math.sqrt(2 * shape.num_hidden_layers) if deep else 0.02
        weights[name] = torch.ones(size) if len(size) == 1 else scale * torch.randn(size, generator=generator)
    return {name: weight.requires_grad_() for name, weight in weights.items()}


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to a twentieth of the peak."""
    if step < WARM_UP:
        return PEAK_LR * (step + 1) / WARM_UP
    progress = (step - WARM_UP) / (steps - WARM_UP)
    return PEAK_LR * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress)))


def batches(ids: Tensor, steps: int):
    """Batches of windows at random offsets: each pass shifts the stream, cuts it and shuffles the pieces."""
    generator = torch.Generator().manual_seed(SEED + 1)
    queue: list[Tensor] = []
    for _ in range(steps):
        if len(queue) < BATCH:
            shift = int(torch.randint(LENGTH, (1,), generator=generator))
            pieces = (len(ids) - shift) // LENGTH
            cut = ids[shift : shift + pieces * LENGTH].view(pieces, LENGTH)
            queue.extend(cut[torch.randperm(pieces, generator=generator)])
        yield torch.stack([queue.pop() for _ in range(BATCH)])


def train(weights: dict[str, Tensor], ids: Tensor, shape: Shape, steps: int) -> None:
    matrices = [weight for weight in weights.values() if weight.ndim == 2]
    vectors = [weight for weight in weights.values() if weight.ndim == 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LR, betas=(0.9, 0.95), fused=True)
    began, recent = time.time(), []
    for step, batch in enumerate(batches(ids, steps)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        logits = forward(weights, batch, shape)[:, :-1]
        loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), CLIP)
        optimizer.step()
        recent.append(loss.item())
        if step % 50 == 49:
            mean = sum(recent) / len(recent)
            print(f"step {step + 1:5d} of {steps}  loss {mean:.4f}  {time.time() - began:.0f} s", flush=True)
            recent = []


def save(weights: dict[str, Tensor], shape: Shape, out: Path) -> None:
    """config.json, generation_config.json and model.safetensors (bf16, rounded to nearest even) as llama has them."""
    tensors = {name: weight.detach().bfloat16().contiguous() for name, weight in weights.items()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **asdict(shape), "head_dim": shape.head_dim}
    config |= {
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "rope_scaling": None,
        "initializer_range": 0.02,
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": 0,
        "use_cache": True,
        "torch_dtype": "bfloat16",
    }
    write_json(out / "config.json", config)
    sampling = {"do_sample": True, "temperature": 0.8, "top_k": 40, "eos_token_id": 0, "pad_token_id": 0}
    write_json(out / "generation_config.json", sampling)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True, help="folder written by extract.py")
    parser.add_argument("--out", type=Path, required=True, help="model folder that holds tokenizer.json")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)

    shape = Shape()
    tokenizer = Tokenizer.from_file(str(arguments.out / "tokenizer.json"))
    ids = encode(tokenizer, arguments.texts / "kjv-train.txt")
    weights = initial_weights(shape)
    print(f"{sum(weight.numel() for weight in weights.values())} parameters, {len(ids)} training tokens", flush=True)
    train(weights, ids, shape, arguments.steps)
    save(weights, shape, arguments.out)


if __name__ == "__main__":
    main()
