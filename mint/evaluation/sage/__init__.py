"""A SAGE-style benchmark: whole conversations with simulated seekers whose emotion is the score.

settings   who is played, how the seeker is disposed, who judges
hold       the conversations, journaled turn by turn
measures   score, success, failure; by intention and temper; curves; what each tactic earns
rubrics    five capabilities of the whole conversation, by a served judge (rubrics.json)
lines      how like a person the seeker talks
compare    two seekers, and before against after training
"""
