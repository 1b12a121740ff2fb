"""Benchmarks: Countersign's costs as counts, and as ratios to the bare engine measured in the same run."""
