"""The sandbox: synthetic debtors, agencies and a bank for the demo and the tests. No real person is in it."""
