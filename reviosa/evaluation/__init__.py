"""J, F, the three protocols of InterRVOS, and the prediction files they are counted on."""

from reviosa.evaluation.metrics import (
    FrameScores,
    MaskError,
    boundary_f,
    boundary_radius,
    frame_scores,
    jaccard,
)
from reviosa.evaluation.predictions import (
    decode_masks,
    encode_prediction,
    read_predictions,
    write_predictions,
)
from reviosa.evaluation.protocols import (
    Evaluation,
    RoleScore,
    evaluate_predictions,
    protocol_means,
)
from reviosa.evaluation.score_table import (
    SCORES_FILE,
    protocol_rows,
    read_scores,
    score_table,
    write_scores,
)

__all__ = [
    "SCORES_FILE",
    "Evaluation",
    "FrameScores",
    "MaskError",
    "RoleScore",
    "boundary_f",
    "boundary_radius",
    "decode_masks",
    "encode_prediction",
    "evaluate_predictions",
    "frame_scores",
    "jaccard",
    "protocol_means",
    "protocol_rows",
    "read_predictions",
    "read_scores",
    "score_table",
    "write_predictions",
    "write_scores",
]
