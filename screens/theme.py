"""How the page looks: Gradio's theme in this project's colours, its style sheet and its script."""

from __future__ import annotations

import gradio as gr

from tinyrs.config import ROOT

PARTS = ("tinyrs/page", "annotate/page", "screens/page", "screens/scene")
CSS = "".join((ROOT / f"{part}.css").read_text(encoding="utf-8") for part in (*PARTS, "screens/results"))
HEAD = "".join(f"<script>{(ROOT / f'{part}.js').read_text(encoding='utf-8')}</script>" for part in PARTS)

# Fonts of the visitor's own system: a page about private pictures asks no other host for anything.
_SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace"]
THEME = gr.themes.Base(
    primary_hue="teal", neutral_hue="slate", radius_size="sm", font=_SANS, font_mono=_MONO
).set(
    body_background_fill="#f4f6f7", body_background_fill_dark="#11161b",
    body_text_color="#1a222b", body_text_color_dark="#e6ebf0",
    body_text_color_subdued="#55616d", body_text_color_subdued_dark="#9eabb8",
    background_fill_primary="#ffffff", background_fill_primary_dark="#191f26",
    background_fill_secondary="#f4f6f7", background_fill_secondary_dark="#11161b",
    border_color_primary="#d5dce2", border_color_primary_dark="#303944",
    block_background_fill="#ffffff", block_background_fill_dark="#191f26",
    # Only Gradio's own login page has panels: there no style sheet of ours applies.
    panel_background_fill="#ffffff", panel_background_fill_dark="#191f26",
    block_border_color="#d5dce2", block_border_color_dark="#303944",
    block_label_text_color="#55616d", block_label_text_color_dark="#9eabb8",
    block_title_text_color="#37424d", block_title_text_color_dark="#c9d2da",
    block_title_text_weight="600", block_title_text_size="14px", block_info_text_color="#55616d",
    block_info_text_color_dark="#9eabb8", block_shadow="none", block_radius="8px",
    input_background_fill="#ffffff", input_background_fill_dark="#10151a",
    input_border_color="#b9c3cc", input_border_color_dark="#424d59", input_border_width="1px",
    input_placeholder_color="#66727e", input_placeholder_color_dark="#8793a0",
    color_accent="#11705f", color_accent_soft="#e2f1ee", color_accent_soft_dark="#17342f",
    button_primary_background_fill="#11705f", button_primary_background_fill_hover="#0c5a4c",
    button_primary_text_color="#ffffff", button_primary_border_color="#11705f",
    button_primary_border_color_hover="#0c5a4c", button_primary_border_color_hover_dark="#7ad6c4", input_radius="6px",
    button_primary_border_color_dark="#5cc7b2",
    button_primary_background_fill_dark="#5cc7b2", button_primary_background_fill_hover_dark="#7ad6c4",
    button_primary_text_color_dark="#07201b",
    button_secondary_background_fill="#ffffff", button_secondary_background_fill_hover="#eef1f3",
    button_secondary_background_fill_dark="#242c35", button_secondary_background_fill_hover_dark="#303944",
    button_secondary_border_color="#b9c3cc", button_secondary_border_color_dark="#424d59",
    button_secondary_text_color="#1a222b", button_secondary_text_color_dark="#e6ebf0",
    button_border_width="1px", button_large_radius="8px", button_small_radius="8px", button_medium_radius="8px",
    checkbox_label_background_fill="#ffffff", checkbox_label_background_fill_dark="#242c35",
    checkbox_label_background_fill_selected="#d8ebe7", checkbox_label_background_fill_selected_dark="#1e463e",
    checkbox_label_text_color_selected="#0a4a3e", checkbox_label_text_color_selected_dark="#d4f2ea",
    checkbox_label_border_color="#b9c3cc", checkbox_label_border_color_dark="#424d59",
    checkbox_label_border_width="1px", checkbox_border_color="#8793a0", checkbox_border_color_dark="#66727e",
    table_border_color="#d5dce2", table_border_color_dark="#303944",
    table_even_background_fill="#ffffff", table_even_background_fill_dark="#191f26",
    table_odd_background_fill="#f4f6f7", table_odd_background_fill_dark="#151b21",
    table_row_focus="#e2f1ee", table_row_focus_dark="#17342f",
    link_text_color="#11705f", link_text_color_dark="#5cc7b2",
)  # fmt: skip
