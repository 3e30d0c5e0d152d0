"""What tests that need a GPU are marked with: `pytest -m gpu -rs` runs them, or says why it does not."""

import pytest
import torch

NEEDS_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here: nothing was tried on one"),
]
