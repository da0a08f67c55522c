"""What the README's speed tables are made with: `python -m benchmarks.bench --help`. It ships with the clone only."""
