"""Talking to trained models by hand, one or two at a time, each reply graded as in training.

options        the keys of `mint chat`
subjects       what is talked to: a run's model with its own prompt, a model folder, a hub name
models         the loaded models: replies that stream
grades         tags, rating and novelty of a reply; failures are values
feed           what happens in a conversation, for any number of readers
side           one model's half of a conversation
conversation   one or two sides and a seeker, held by `mint.dialogue.talk.converse`
records        a dialogue as training data, and the file it is saved to
house          all of it: what a page or a terminal asks for
terminal       the conversation in a terminal
page, site     the page and what it asks the server
"""
