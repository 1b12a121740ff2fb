"""Access that takes effect: grants, what is held in a target, and the reconciler that makes the two agree."""
