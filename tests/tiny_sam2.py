"""A SAM 2 model for videos of random weights, in a folder that transformers saved: it follows nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Sam2ImageProcessor, Sam2VideoConfig, Sam2VideoModel


def tiny_sam2(folder: Path, there: float = 10.0) -> Path:
    """It looks back at 2 masks and 3 pointers. `there`: the logit, more or less, by which it says that the subject is to be seen."""
    side, wide = 128, 128
    body = {
        "hidden_size": 8,
        "image_size": [side, side],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1],
        "window_size_per_stage": [8, 4, 4, 4],
        "window_positional_embedding_background_size": [4, 4],
        "global_attention_blocks": [3],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": {"model_type": "sam2_hiera_det_model", **body},
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "fpn_hidden_size": wide,
    }
    config = Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": wide, "image_size": side},
        mask_decoder_config={
            "hidden_size": wide,
            "mlp_dim": wide,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": wide,
        },
        image_size=side,
        num_maskmem=3,
        max_object_pointers_in_encoder=4,
        memory_attention_hidden_size=wide,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=wide,
        memory_attention_rope_feat_sizes=[8, 8],
        memory_encoder_hidden_size=wide,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=wide,
        memory_fuser_embed_dim=wide,
        memory_fuser_intermediate_dim=wide,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Sam2VideoModel(config)
        for name, weights in model.named_parameters():
            # As new ones are, all places of a picture are the same to them.
            if name.endswith("weight") and weights.dim() > 1:
                torch.nn.init.normal_(weights, std=0.1)
    torch.nn.init.constant_(model.mask_decoder.pred_obj_score_head.proj_out.bias, there)
    model.save_pretrained(folder)
    Sam2ImageProcessor(size={"height": side, "width": side}).save_pretrained(folder)
    return folder
