"""The rule system: what a rule is, how rules are found, chosen and run, and how adapters form fleets."""
