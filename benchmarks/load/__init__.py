"""Clicks on `countersign serve` within the limits of the smallest task: latency, processor time, memory, start-up."""
