"""Where the patches of images and videos of any size stand in a token sequence."""

from collections.abc import Sequence

import torch
from torch import Tensor

from reviosa.errors import ReviosaError

__all__ = ["patch_grid"]


def patch_grid(input_ids: Tensor, image_token_id: int, sizes: Tensor | Sequence) -> Tensor:
    """Place of each key's patch as (frame, row, column); -1 for text.

    Patches stand image after image, frame after frame, each frame row by row. Frames are counted
    through all images of a sequence. For Qwen2-VL and its successors ``sizes`` is
    ``image_grid_thw`` with rows and columns divided by ``spatial_merge_size``; for LLaVA each image
    is (1, rows, columns); for InternVL tiles are frames.

    Args:
        input_ids: [batch, token].
        image_token_id: the token that stands for a patch.
        sizes: frames, rows and columns of each image as the language model sees it, [image, 3], in
            the order in which the images stand in the batch.

    Returns:
        int64 [batch, token, 3].

    Raises:
        ReviosaError: the patches of the text are not those of the images, or an image stands in two
            sequences.
    """
    is_patch = input_ids == image_token_id
    counts = is_patch.sum(dim=1).tolist()
    images = torch.as_tensor(sizes, dtype=torch.int64).reshape(-1, 3).tolist()
    places, used = [], 0
    for count in counts:
        frame, left = 0, count
        while left > 0 and used < len(images):
            frames, rows, columns = images[used]
            axes = (torch.arange(frame, frame + frames), torch.arange(rows), torch.arange(columns))
            places.append(torch.cartesian_prod(*axes).view(-1, 3))
            used, frame, left = used + 1, frame + frames, left - frames * rows * columns
        if left:
            break
    else:
        if used == len(images):
            grid = torch.full((*input_ids.shape, 3), -1, device=input_ids.device)
            if places:
                grid[is_patch] = torch.cat(places).to(input_ids.device)
            return grid
    raise ReviosaError(
        f"the sequences hold {counts} image tokens but the images have the sizes {images} (frames, "
        "rows, columns); give the size of each image after the vision tower has merged its patches"
    )
