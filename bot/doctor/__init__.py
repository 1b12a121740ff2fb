"""What `countersign doctor` looks at. A check changes nothing, posts nothing and raises nothing that it can explain."""
