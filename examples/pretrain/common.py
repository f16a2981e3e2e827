"""The example's model as plain PyTorch, its files, and the one definition of the loss that all figures use."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

WINDOW = 64


@dataclass(frozen=True)
class Shape:
    """Sizes of the llama; names follow the Hugging Face config fields they become."""

    vocab_size: int = 1024
    hidden_size: int = 128
    intermediate_size: int = 352
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    max_position_embeddings: int = 256
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


def weight_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Every tensor of the file by its Hugging Face name; embedding and head are separate (untied)."""
    d, ff = shape.hidden_size, shape.intermediate_size
    kv = shape.num_key_value_heads * shape.head_dim
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (shape.vocab_size, d)}
    for index in range(shape.num_hidden_layers):
        layer = f"model.layers.{index}"
        shapes |= {
            f"{layer}.input_layernorm.weight": (d,),
            f"{layer}.self_attn.q_proj.weight": (d, d),
            f"{layer}.self_attn.k_proj.weight": (kv, d),
            f"{layer}.self_attn.v_proj.weight": (kv, d),
            f"{layer}.self_attn.o_proj.weight": (d, d),
            f"{layer}.post_attention_layernorm.weight": (d,),
            f"{layer}.mlp.gate_proj.weight": (ff, d),
            f"{layer}.mlp.up_proj.weight": (ff, d),
            f"{layer}.mlp.down_proj.weight": (d, ff),
        }
    return shapes | {"model.norm.weight": (d,), "lm_head.weight": (shape.vocab_size, d)}


def rotary(shape: Shape, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [length, head_dim], halves repeated as llama's rotate-half form wants them."""
    frequencies = shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2) / shape.head_dim)
    angles = torch.outer(torch.arange(length), frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-high, low], dim=-1) * sin


def forward(weights: dict[str, Tensor], ids: Tensor, shape: Shape) -> Tensor:
    """Logits [batch, length, vocab] of token ids [batch, length]."""
    batch, length = ids.shape
    cos, sin = rotary(shape, length)
    norm = lambda x, name: F.rms_norm(x, (shape.hidden_size,), weights[name], shape.rms_norm_eps)
    heads = lambda x: x.view(batch, length, -1, shape.head_dim).transpose(1, 2)
    x = F.embedding(ids, weights["model.embed_tokens.weight"])
    for index in range(shape.num_hidden_layers):
        layer = f"model.layers.{index}"
        linear = lambda x, name: F.linear(x, weights[f"{layer}.{name}_proj.weight"])
        y = norm(x, f"{layer}.input_layernorm.weight")
        q, k, v = (heads(linear(y, f"self_attn.{name}")) for name in "qkv")
        groups = shape.num_attention_heads // shape.num_key_value_heads
        k, v = (rotate(k, cos, sin).repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1))
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), k, v, is_causal=True)
        x = x + linear(y.transpose(1, 2).reshape(batch, length, -1), "self_attn.o")
        y = norm(x, f"{layer}.post_attention_layernorm.weight")
        x = x + linear(F.silu(linear(y, "mlp.gate")) * linear(y, "mlp.up"), "mlp.down")
    return F.linear(norm(x, "model.norm.weight"), weights["lm_head.weight"])


def encode(tokenizer: Tokenizer, path: Path) -> Tensor:
    """Token ids of a whole text file, encoded at once, no special tokens added."""
    return torch.tensor(tokenizer.encode(path.read_text(), add_special_tokens=False).ids)


def windows(ids: Tensor, count: int | None = None) -> Tensor:
    """The first `count` (or all whole) non-overlapping windows [count, WINDOW] of a token stream."""
    available = len(ids) // WINDOW
    count = available if count is None else min(count, available)
    return ids[: count * WINDOW].view(count, WINDOW)


@torch.no_grad()
def window_loss(logits_of, ids: Tensor) -> float:
    """Mean cross entropy in nats over the predicted tokens, the last WINDOW - 1 of each window [count, WINDOW]."""
    total = 0.0
    for batch in ids.split(64):
        logits = logits_of(batch)[:, :-1]
        total += F.cross_entropy(logits.flatten(0, 1).double(), batch[:, 1:].flatten(), reduction="sum").item()
    return total / (ids.shape[0] * (WINDOW - 1))


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The stored bf16 weights, expanded to f32."""
    return {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
