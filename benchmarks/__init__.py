"""What Countersign costs, as counts and as ratios to the bare engine, measured side by side in one run."""
