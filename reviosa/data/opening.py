"""A data set by the folder it lies in, whatever its layout."""

from pathlib import Path

from reviosa.data.a2d_sentences import A2DSentencesDataset
from reviosa.data.dataset import VideoDataset
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.jhmdb_sentences import JHMDBSentencesDataset
from reviosa.data.mevis import MevisDataset
from reviosa.data.ref_davis import RefDAVISDataset
from reviosa.data.ref_davis_converted import ConvertedRefDAVISDataset
from reviosa.data.ref_sav import RefSAVDataset
from reviosa.data.ref_youtube_vos import RefYouTubeVOSDataset
from reviosa.data.revos import RevosDataset
from reviosa.data.sa_v import SAVDataset
from reviosa.errors import ConfigError, DataError

__all__ = ["LAYOUTS", "READERS", "open_dataset"]

READERS: tuple[type[VideoDataset], ...] = (
    RefYouTubeVOSDataset,
    RefDAVISDataset,
    RefSAVDataset,
    A2DSentencesDataset,
    JHMDBSentencesDataset,
    InterRVOSDataset,
    RevosDataset,
    ConvertedRefDAVISDataset,
    MevisDataset,
    SAVDataset,  # looks into every folder
)
"""All readers; the first that finds its files in a folder reads it."""

LAYOUTS: tuple[str, ...] = tuple(dict.fromkeys(reader.layout for reader in READERS))
"""The names of the layouts."""


def open_dataset(
    path: str | Path, limit: int | None = None, layout: str | None = None, strict: bool = True
) -> VideoDataset:
    """Open a data set in any of the published layouts.

    Args:
        path: the folder of a split, or a YAML file that mixes several data sets.
        limit: read the first ``limit`` videos only.
        layout: name of its layout, one of :data:`LAYOUTS`; without one, what lies in the folder
            decides.
        strict: raise the first fault that opening finds. Otherwise what can be kept is kept, and
            :meth:`~reviosa.data.dataset.VideoDataset.faults` names all that is wrong.

    Raises:
        DataError: there is no data set of a known layout, or it is not as promised.
        ConfigError: the layout has no reader.
    """
    root = Path(path)
    readers = READERS
    if layout is not None:
        readers = tuple(reader for reader in READERS if reader.layout == layout)
        if not readers:
            raise ConfigError(
                f"got the layout {layout!r}, expected one of {', '.join(LAYOUTS)}; choose one"
            )
        # One layout may have two published forms.
        chosen = next((reader for reader in readers if reader.found(root)), readers[0])
        return chosen(root, limit, strict)
    if root.is_file() and root.suffix.lower() in (".yaml", ".yml"):
        # Here, because a mixture opens its parts in turn.
        from reviosa.data.mixture import MixtureDataset

        return MixtureDataset(root, limit, strict)
    # A path may name a split that shares the folder of another: ROOT/train where it is no folder.
    for reader in readers:
        if reader.found(root):
            return reader(root, limit, strict)
    if not root.exists():
        raise DataError(
            f"{root}: got no folder there, expected a data set (the folder of a split, or a YAML "
            "file that mixes some); check the path"
        )
    looked = "; ".join(f"{reader.layout}: {reader.files}" for reader in readers)
    raise DataError(
        f"{root}: got no data set of a known layout, expected the files of one ({looked}); "
        "choose the folder of the split (for example .../InterRVOS/val)"
    )
