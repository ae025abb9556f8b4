"""Synthetic lenders, debtors, agencies and a bank, and the server they meet on: for the demo, the tests and the benchmarks."""
