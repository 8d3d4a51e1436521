"""How the shipped weights and cards are made; nothing here runs when a reply is graded."""
