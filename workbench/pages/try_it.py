"""Try it: one sentence on one video, what each role token looked at, and the roles exchanged."""

import streamlit as st

from reports.style import count
from reviosa.data import VideoDataset
from reviosa.errors import ReviosaError
from workbench.pages._data import dataset_of, fingerprint, list_runs, runs_folder
from workbench.pages._shell import choose, choose_run, from_address, show, to_address
from workbench.pages._trial import Choice, Source, models, tried, upload_source
from workbench.pages._trial_view import draw_trials
from workbench.tryout import Trial, passive_twin, swapped_nouns
from workbench.uploads import MAX_FRAMES, MAX_MB, MAX_SECONDS

__all__ = ["render"]

# Of a sentence. (A string here would be written to the page.)
MOST_CHARACTERS = 300


def render() -> None:
    """Draw the page."""
    st.title("Try it")
    st.caption(
        "Write a sentence about a video: the model marks who acts and on whom, and shows what its "
        "role tokens looked at. Then exchange the roles in the sentence and see what moves."
    )
    entry = choose_run()
    dataset = None
    if entry is not None:
        dataset = dataset_of(entry.directory, fingerprint(entry.directory))
    own = _own_file(dataset)
    choices = {choice.name: choice for choice in models(list_runs(runs_folder()), entry)}
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        name = choose(
            "Model",
            list(choices),
            "model",
            next(iter(choices)),
            lambda name: choices[name].title if name in choices else name,
            "The chosen run's own where its weights are at hand, the shipped one, and trainings in "
            "the folder.",
        )
    with right:
        source = _uploaded() if own or dataset is None else _chosen_video(dataset)
    if source is not None:
        _ask(choices[name], source)


def _own_file(dataset: VideoDataset | None) -> bool:
    kinds = {"data": "A video of the data set", "file": "A file of yours"}
    if dataset is None:
        del kinds["data"]
        st.caption("No data set of a run is at hand; choose a file of yours.")
    kind = st.segmented_control(
        "Video from",
        list(kinds),
        default=next(iter(kinds)),
        required=True,
        key="from",
        bind="query-params",
        format_func=kinds.__getitem__,
    )
    return kind == "file"


def _chosen_video(dataset: VideoDataset) -> Source:
    videos = {video.video_id: video for video in dataset.videos}
    name = choose("Video", list(videos), "video", next(iter(videos)), str, "Of the data set.")
    return Source(name, videos[name], dataset)


def _uploaded() -> Source | None:
    """An uploaded video; None where there is none yet, or it cannot be used."""
    file = st.file_uploader("Video file", key="try_file", max_upload_size=MAX_MB)
    st.caption(
        f"MP4, MOV, WebM, GIF and others; at most {MAX_MB} MB, {MAX_FRAMES} frames and "
        f"{MAX_SECONDS} seconds. It stays in the memory of this session and is written nowhere."
    )
    if file is None:
        return None
    with st.spinner("Reading the video"):
        source = upload_source(file.name, file.getvalue())
    if isinstance(source, str):
        st.error("This file cannot be used.")
        st.code(source, language=None, wrap_lines=True)
        return None
    return source


def _ask(choice: Choice, source: Source) -> None:
    known = _expressions(source)
    # A copied address opens with its answer: no button has to be pressed again.
    first = "expression_in_address" not in st.session_state and "expression" in st.query_params
    if known:

        def pick() -> None:
            st.session_state["expression"] = st.session_state["try_known"]

        st.selectbox(
            "Expressions about this video",
            known,
            index=None,
            key="try_known",
            on_change=pick,
            placeholder=f"{count(len(known), 'expression')} in the data set; choose one or write",
        )
    left, right = st.columns([6, 1], vertical_alignment="bottom")
    with left:
        with_two = next((text for text in known if swapped_nouns(text)), "")
        expression = _sentence("Expression", "expression", with_two or next(iter(known), ""))
    to_address("expression", expression)
    run = right.button("Run", type="primary", icon=":material/play_arrow:", width="stretch")
    if choice.name == "nano":
        st.caption(
            "The shipped model knows the shapes, colours and verbs of its synthetic world, such as "
            "“the red star pushing the ring”; other words mean nothing to it."
        )
    trial = _tried(choice, source, expression, run or first)
    if trial is None:
        return
    twin = _twin(choice, source, trial, run or first)
    draw_trials(source, [trial] if twin is None else [trial, twin])


def _sentence(label: str, key: str, default: str) -> str:
    """A field for a sentence, from the address where that is new; the caller writes it there."""
    asked = st.query_params.get(key)
    if asked and len(asked) > MOST_CHARACTERS:
        st.query_params[key] = asked[:MOST_CHARACTERS]
    # An empty text can be kept: the field was emptied by hand.
    from_address(key, lambda text: text is not None, default)
    text = st.text_input(
        label, key=key, max_chars=MOST_CHARACTERS, placeholder="a dog chasing a cat"
    )
    return " ".join(text.split())


def _expressions(source: Source) -> list[str]:
    if source.dataset is None:
        return []
    texts = [
        sample.expression.text
        for sample in source.dataset.samples
        if sample.video.video_id == source.key
    ]
    return list(dict.fromkeys(texts))


def _tried(choice: Choice, source: Source, expression: str, run: bool) -> Trial | None:
    if not run:
        return tried(choice, source, expression, None)
    bar = st.progress(0.0, "Reading the video")
    try:
        return tried(
            choice,
            source,
            expression,
            lambda done, total: bar.progress(done / total, f"Frame {done} of {total}"),
        )
    except ReviosaError as error:
        st.error("This could not be tried.")
        st.code(str(error), language=None, wrap_lines=True)
        return None
    finally:
        bar.empty()


def _twin(choice: Choice, source: Source, trial: Trial, run: bool) -> Trial | None:
    """The sentence with its roles exchanged, once it was asked for."""
    text = trial.expression
    twins = {
        "The other voice: same event": passive_twin(text),
        "Nouns exchanged: opposite event": swapped_nouns(text),
    }
    found = next((twin for twin in twins.values() if twin), text)
    # Of another sentence than the one before: what was swapped there says nothing here.
    if st.session_state.get("swapped_of") not in (None, text):
        st.session_state["swapped"] = st.session_state["swapped_in_address"] = found
        st.query_params["swapped"] = found
    st.session_state["swapped_of"] = text
    st.subheader("Swap the roles")
    row = st.columns([3, 3, 2])
    for column, (title, twin) in zip(row, twins.items(), strict=False):
        if twin is not None:
            column.button(
                title,
                icon=":material/swap_horiz:",
                width="stretch",
                on_click=lambda twin=twin: st.session_state.update(swapped=twin),
            )
    wanted = "swapped" in st.query_params
    left, right = st.columns([6, 1], vertical_alignment="bottom")
    with left:
        swapped = _sentence("Sentence with the roles swapped", "swapped", found)
    both = right.button("Run both", icon=":material/play_arrow:", width="stretch")
    if not any(twins.values()):
        st.caption("No verb was found between two things; edit the sentence by hand.")
    twin = None
    if swapped and swapped != text:
        twin = _tried(choice, source, swapped, both or (run and wanted))
    if twin is not None:
        to_address("swapped", swapped)
    else:
        # A copied address would try it, and show more than this page does.
        st.session_state["swapped_in_address"] = swapped
        st.query_params.pop("swapped", None)
    return twin


if __name__ == "__main__":
    show(render)
