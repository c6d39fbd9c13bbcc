"""The dashboard: ``streamlit run streamlit_app.py -- RUNS`` or ``reviosa dashboard RUNS``."""

import gc

import streamlit as st

from workbench.pages._shell import sidebar, tab_icon

# Python looks for cycles after every 700 new objects, a click makes some hundred thousand, and now
# and then the search goes through all of a large analysis.
gc.set_threshold(50_000)

st.set_page_config(page_title="ReVIOSa workbench", page_icon=tab_icon(), layout="wide")

page = st.navigation(
    [
        st.Page(
            "workbench/pages/runs.py",
            title="Runs",
            icon=":material/home:",
            default=True,
            help="Every run of the folder with its scores; where one came from; two compared.",
        ),
        st.Page(
            "workbench/pages/layers.py",
            title="Layers",
            icon=":material/layers:",
            help="How much each layer looks at the video, and which goes with better masks.",
        ),
        st.Page(
            "workbench/pages/heads.py",
            title="Heads",
            icon=":material/grid_on:",
            help="Every layer-head pair on one map; click one for its samples and intervals.",
        ),
        st.Page(
            "workbench/pages/accuracy.py",
            title="Attention and accuracy",
            icon=":material/scatter_plot:",
            help="Attention against J&F for any head, layer or selection, beside its controls.",
        ),
        st.Page(
            "workbench/pages/samples.py",
            title="Samples",
            icon=":material/movie:",
            help="Frames with truth, prediction and attention, worst J&F first.",
        ),
        st.Page(
            "workbench/pages/causes.py",
            title="Causes",
            icon=":material/bolt:",
            help="What heads cause: silenced, kept alone, or lent by the exchanged sentence.",
        ),
        st.Page(
            "workbench/pages/sweeps.py",
            title="Sweeps",
            icon=":material/compare_arrows:",
            help="How far a sweep is, which strategy did best, and by how much.",
        ),
        st.Page(
            "workbench/pages/training.py",
            title="Training",
            icon=":material/show_chart:",
            help="Losses, J&F and attention of any pair over the steps of a training.",
        ),
        st.Page(
            "workbench/pages/try_it.py",
            title="Try it",
            icon=":material/play_circle:",
            help="One sentence on one video: masks, attention, and the roles exchanged.",
        ),
        st.Page(
            "workbench/pages/review.py",
            title="Review",
            icon=":material/fact_check:",
            help="Expressions that were annotated: accept, change or reject each, masks drawn.",
        ),
        st.Page(
            "workbench/pages/documents.py",
            title="Reports",
            icon=":material/description:",
            url_path="reports",
            help="Runs put together into documents, to download.",
        ),
    ]
)
# Runs of any kind, sweeps, trainings, annotations and the runs of a report are chosen on their own
# pages.
sidebar(captures=page.url_path not in ("", "sweeps", "training", "review", "reports"))
page.run()
