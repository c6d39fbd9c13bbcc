"""The model: configuration, composition of InternVL and SAM2, role attention, checkpoints."""

from transformers import AutoConfig, AutoModel, AutoProcessor

from reviosa.model.checkpoint import load, model_identity, save
from reviosa.model.config import ReviosaConfig
from reviosa.model.modeling import ReviosaModel, ReviosaOutput
from reviosa.model.processor import ReviosaProcessor
from reviosa.model.role_attention import RoleAttention, record_role_attention

__all__ = [
    "ReviosaConfig",
    "ReviosaModel",
    "ReviosaOutput",
    "ReviosaProcessor",
    "RoleAttention",
    "load",
    "model_identity",
    "record_role_attention",
    "save",
]

AutoConfig.register("reviosa", ReviosaConfig, exist_ok=True)
AutoModel.register(ReviosaConfig, ReviosaModel, exist_ok=True)
AutoProcessor.register(ReviosaConfig, ReviosaProcessor, exist_ok=True)
