"""Where the answers to exercises go: one module for each notebook that trains what the learner wrote."""
