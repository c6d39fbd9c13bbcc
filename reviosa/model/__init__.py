"""The model: configuration, composition of InternVL and SAM2, recorded attention, checkpoints."""

from transformers import AutoConfig, AutoModel, AutoProcessor

from reviosa.model.attention_record import AttentionRecord, record_attention
from reviosa.model.checkpoint import load, model_config, model_identity, save
from reviosa.model.config import ReviosaConfig
from reviosa.model.modeling import ReviosaModel, ReviosaOutput
from reviosa.model.patch_grid import patch_grid
from reviosa.model.processor import ReviosaProcessor
from reviosa.model.queries import find_tokens
from reviosa.model.role_attention import RoleAttention, record_role_attention

__all__ = [
    "AttentionRecord",
    "ReviosaConfig",
    "ReviosaModel",
    "ReviosaOutput",
    "ReviosaProcessor",
    "RoleAttention",
    "find_tokens",
    "load",
    "model_config",
    "model_identity",
    "patch_grid",
    "record_attention",
    "record_role_attention",
    "save",
]

AutoConfig.register("reviosa", ReviosaConfig, exist_ok=True)
AutoModel.register(ReviosaConfig, ReviosaModel, exist_ok=True)
AutoProcessor.register(ReviosaConfig, ReviosaProcessor, exist_ok=True)
