"""What the demo, the end-to-end tests and the measurements share: a real Triton, real digits, honest load, a table."""
