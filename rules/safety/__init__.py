"""What loading would run or reach."""
