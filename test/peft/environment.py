"""The virtual environment of the scripts here: PEFT and what it needs, in the versions that the golden data is of."""

import os
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = ["torch==2.13.0", "transformers==5.23.0", "peft==0.21.2", "safetensors", "numpy"]
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


def enter_environment():
    """Goes on in the virtual environment (PARITY_VENV, or ~/.cache/webpeft/parity), which is made when it is not there."""
    venv = Path(os.environ.get("PARITY_VENV", Path.home() / ".cache/webpeft/parity"))
    python = venv / "bin/python"
    # PEFT writes sets into its configs: without a hash seed their order differs from run to run
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONHASHSEED": "0"}
    if Path(sys.prefix) == venv.resolve():
        return
    if not any(venv.glob("lib/python*/site-packages/peft")):  # pip puts it there last: an installation that broke off is tried again
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--extra-index-url", TORCH_INDEX]
        subprocess.run([*pip, *REQUIREMENTS], check=True)
    os.execv(str(python), [str(python), *sys.argv])
