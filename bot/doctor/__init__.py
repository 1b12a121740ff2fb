"""The checks of `countersign doctor`. A check changes and posts nothing, and reports errors instead of raising them."""
