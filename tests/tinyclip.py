"""A CLIP model of a few thousand random weights, as a folder that transformers saved."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

LETTERS = string.ascii_lowercase + string.digits
SIZE = 32


def tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Two layers of 32 dimensions; its words are spelt letter by letter."""
    pieces = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    tokenizer = CLIPTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[])
    tokenizer.save_pretrained(folder)
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    words = {**layers, "vocab_size": len(pieces), "max_position_embeddings": 40, "bos_token_id": 0, "eos_token_id": 1}
    pictures = {**layers, "image_size": SIZE, "patch_size": 8}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIPModel(CLIPConfig(text_config=words, vision_config=pictures, projection_dim=16))
        # As a new one is, all texts are about the same to it, and all pictures.
        for name, weights in model.named_parameters():
            if name.endswith("weight") and weights.dim() > 1:
                torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(folder)
    return folder
