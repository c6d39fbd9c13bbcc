"""Reports: runs put together into documents to download, and those that were made before."""

from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from probes.beside import BESIDE
from reviosa.errors import ConfigError, ReviosaError
from workbench.exports import EXPORTS, FORMS, RECORD, export_report, kept_exports
from workbench.pages._data import list_runs, runs_folder
from workbench.pages._paths import below, plain_name
from workbench.pages._shell import literal, show
from workbench.pages._sweeps import list_sweeps
from workbench.reporting import gather, report_command

__all__ = ["render"]

# Key of the choice of runs, and its name in the address.
RUNS = "report_runs"


def render() -> None:
    """Draw the page."""
    st.title("Reports")
    st.caption(
        "A report says what runs showed, with intervals, controls and limits, where each number "
        "came from, and the command that makes it again. It is made here as `reviosa report` "
        "makes it."
    )
    folder = runs_folder()
    show(lambda: _build(folder))
    show(lambda: _kept(folder))


def _build(folder: Path) -> None:
    titles = _offered(folder)
    if not titles:
        if folder.is_dir():
            st.info("Nothing lies in this folder yet that a report could be about:")
        else:
            st.info("There is no such folder of runs:")
        st.code(str(folder), language=None)
        st.write("One command makes a first run with everything in it:")
        st.code("reviosa demo", language="bash")
        return
    names = _runs(titles)
    left, right = st.columns(2)
    forms = left.pills(
        "Forms", list(FORMS), selection_mode="multi", default=["html", "pdf"], key="report_forms",
        bind="query-params",
        format_func=lambda name: FORMS[name].title,
        help="; ".join(f"{form.title}: {form.words}" for form in FORMS.values()),
    )  # fmt: skip
    heading = right.text_input(
        "Title", key="report_heading", bind="query-params", max_chars=200,
        placeholder="chosen by what is in it",
    )  # fmt: skip
    left, right = st.columns([6, 1], vertical_alignment="bottom")
    name = left.text_input(
        "Name", key="report_name", max_chars=80, placeholder=_free_name(folder),
        help=f"Of its folder in {folder / EXPORTS}.",
    )  # fmt: skip
    if right.button("Build", type="primary", icon=":material/build:", width="stretch"):
        _make(folder, names, list(forms or ()), heading.strip() or None, name)


def _runs(titles: dict[str, str]) -> list[str]:
    """The chosen runs. In the address stand their names: what is shown tells a status, too."""
    asked = list(dict.fromkeys(st.query_params.get_all(RUNS)))
    last = st.session_state.get(f"{RUNS}_in_address")
    if asked and asked != last:
        st.session_state[RUNS] = [name for name in asked if name in titles]
        if gone := [name for name in asked if name not in titles]:
            st.warning(f"Not in this folder: {literal(', '.join(gone))}.")
    elif RUNS not in st.session_state:
        first = [name for name, title in titles.items() if "capture, done" in title][:1]
        st.session_state[RUNS] = [n for n in last if n in titles] if last is not None else first
    names = st.multiselect(
        "Runs", list(titles), key=RUNS, format_func=lambda name: titles.get(name, name),
        help="Captures, several side by side; ablations, lens and probe runs of their models; "
        "sweeps.",
    )  # fmt: skip
    st.session_state[f"{RUNS}_in_address"] = names
    if st.query_params.get_all(RUNS) != names:
        st.query_params[RUNS] = names
    return names


def _offered(folder: Path) -> dict[str, str]:
    """Name below the folder -> how it is shown: what a report can be about."""
    titles = {
        entry.name: f"{entry.name} ({entry.kind}, {entry.status})"
        for entry in list_runs(folder)
        if entry.kind == "capture" or entry.kind in BESIDE
    }
    return titles | {f"sweeps/{name}": f"sweeps/{name} (sweep)" for name in list_sweeps(folder)}


def _free_name(folder: Path) -> str:
    taken = {path.name for path in kept_exports(folder)}
    number = 1
    while f"report-{number}" in taken:
        number += 1
    return f"report-{number}"


def _make(folder: Path, names: list[str], forms: list[str], heading: str | None, name: str) -> None:
    with st.status("Building the report", expanded=True) as status:
        try:
            if not names:
                raise ConfigError("got no run, expected at least one; choose one above")
            # A runs folder that is itself a run has one entry, named after it.
            runs = [folder if (folder / "run.json").is_file() else below(folder, n) for n in names]
            export_report(
                below(folder, f"{EXPORTS}/{plain_name(name.strip() or _free_name(folder))}"),
                lambda: gather(runs, report_command(runs, ".html", heading), heading),
                [form for form in FORMS if form in forms],
                lambda step: st.write(step),
            )
        except (ReviosaError, OSError) as error:
            status.update(label="The report could not be made.", state="error")
            st.code(" ".join(str(error).split()), language=None, wrap_lines=True)
        else:
            status.update(label="The report is made; it is the first below.", state="complete")


def _kept(folder: Path) -> None:
    exports = kept_exports(folder)
    if not exports:
        return
    st.subheader("Made so far")
    st.caption(literal(str(folder / EXPORTS)))
    for path in exports[:50]:
        made = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
        files = {form.file: (form.title, form.mime) for form in FORMS.values()}
        files[RECORD] = ("results.json", "application/json")
        row = st.container(horizontal=True, vertical_alignment="center")
        row.markdown(f"**{literal(path.name)}**, {made:%Y-%m-%d %H:%M} UTC", width=260)
        for file, (title, mime) in files.items():
            if not (path / file).is_file():
                continue
            plain = file.startswith("report") or file == RECORD
            row.download_button(
                title,
                # Read when asked for.
                lambda path=path, file=file: below(path, file).read_bytes(),
                file_name=f"{path.name}{Path(file).suffix}" if plain else f"{path.name}-{file}",
                mime=mime,
                key=f"export_{path.name}_{file}",
                help=f"{(path / file).stat().st_size / 2**20:.1f} MB",
                on_click="ignore",
            )
    if len(exports) > 50:
        st.caption(f"{len(exports) - 50} older ones are not listed.")


if __name__ == "__main__":
    show(render)
