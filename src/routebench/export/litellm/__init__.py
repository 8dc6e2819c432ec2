"""LiteLLM's proxy: one tuned complexity auto-router, with the models, fallbacks and cool-downs around it.

This room imports nothing by itself: `asking` runs in LiteLLM's own process, which has no workbench.
"""
