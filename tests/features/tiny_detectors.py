"""Object detectors of a few thousand random weights, in folders that transformers saved."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    CLIPTokenizer,
    DFineConfig,
    DFineForObjectDetection,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    HGNetV2Config,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    RTDetrImageProcessor,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
    SwinConfig,
)

NAMES = ("cat", "dog", "mouse")
_CLASSES = {"id2label": dict(enumerate(NAMES)), "label2id": {name: at for at, name in enumerate(NAMES)}}
_DETR = {
    "encoder_hidden_dim": 32,
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "d_model": 32,
    "num_queries": 10,
    "decoder_in_channels": [32, 32, 32],
    "decoder_ffn_dim": 32,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "num_denoising": 0,
}


def tiny_rt_detr(folder: Path) -> Path:
    stages = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "out_features": ["stage2", "stage3", "stage4"]}
    body = RTDetrResNetConfig(embedding_size=8, layer_type="basic", **stages)
    config = RTDetrV2Config(
        backbone_config=body, encoder_in_channels=[8, 16, 16], decoder_n_points=2, **_DETR, **_CLASSES
    )
    _saved(RTDetrV2ForObjectDetection, config, folder)
    RTDetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def tiny_d_fine(folder: Path) -> Path:
    body = HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 16, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 16, 16, 16],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 16, 16],
        depths=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = DFineConfig(
        backbone_config=body, encoder_in_channels=[16, 16, 16], decoder_n_points=[2, 2, 2], **_DETR, **_CLASSES
    )
    _saved(DFineForObjectDetection, config, folder)
    RTDetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


_LAYERS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def tiny_owl(folder: Path) -> Path:
    """It reads letter by letter."""
    # A text that begins with piece 0 is padding to it.
    pieces = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    CLIPTokenizer(vocab={piece: at for at, piece in enumerate(pieces)}, merges=[]).save_pretrained(folder)
    text = {
        "vocab_size": len(pieces),
        "max_position_embeddings": 20,
        "bos_token_id": len(pieces) - 2,
        "eos_token_id": len(pieces) - 1,
        "pad_token_id": len(pieces) - 1,
    }
    config = Owlv2Config(
        text_config={**_LAYERS, **text},
        vision_config={**_LAYERS, "image_size": 64, "patch_size": 16},
        projection_dim=32,
    )
    _saved(Owlv2ForObjectDetection, config, folder, spread=0.05)
    Owlv2ImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def tiny_grounding_dino(folder: Path) -> Path:
    """Its words are cat, dog, mouse, white; the numbers of the marks between them are BERT's own."""
    words = [f"[unused{at}]" for at in range(1100)]
    known = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
    for at, word in {**known, **dict(enumerate((*NAMES, "white"), start=200))}.items():
        words[at] = word
    BertTokenizer(vocab={word: at for at, word in enumerate(words)}).save_pretrained(folder)
    body = SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )
    text = BertConfig(vocab_size=1100, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    ours = {key: value for key, value in _DETR.items() if key in ("encoder_ffn_dim", "d_model", "num_queries")}
    config = GroundingDinoConfig(
        backbone_config=body,
        text_config=text,
        encoder_layers=1,
        encoder_attention_heads=2,
        decoder_layers=2,
        decoder_ffn_dim=32,
        decoder_attention_heads=2,
        **ours,
    )
    _saved(GroundingDinoForObjectDetection, config, folder)
    GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)
    return folder


def _saved(kind: type, config: object, folder: Path, spread: float = 0.2) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(config)
        for name, weights in model.named_parameters():
            # As new ones are, all places of a picture are the same to them.
            if name.endswith("weight") and weights.dim() > 1:
                torch.nn.init.normal_(weights, std=spread)
    model.save_pretrained(folder)
